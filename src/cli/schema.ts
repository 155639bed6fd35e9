import { jsonSchema } from "../config/schema.ts";
import { type Command, UsageError } from "./command.ts";
import { printJson } from "./load-config.ts";
import { schemaPage } from "./schema-page.ts";

export const schema: Command = {
  usage: `[--json | --markdown]

      --json      what it prints is JSON in any case
      --markdown  the reference of every key, for people

Save it beside the configuration, whose first line then is:
  # yaml-language-server: $schema=./perch.schema.json`,
  options: { json: { type: "boolean" }, markdown: { type: "boolean" } },
  async run({ options, positionals }, terminal) {
    if (positionals.length > 0) throw new UsageError(`unexpected argument "${positionals[0]}"`);
    if (options["markdown"] === true && options["json"] === true) throw new UsageError("either --json or --markdown");
    if (options["markdown"] === true) terminal.out(schemaPage(jsonSchema()));
    else printJson(jsonSchema(), terminal);
    return 0;
  },
};
