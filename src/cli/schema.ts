import { jsonSchema } from "../config/schema.ts";
import { type Command, UsageError } from "./command.ts";
import { printJson } from "./load-config.ts";

export const schema: Command = {
  usage: `[--json]

      --json  what it prints is JSON in any case

Save it beside the configuration, whose first line then is:
  # yaml-language-server: $schema=./perch.schema.json`,
  options: { json: { type: "boolean" } },
  async run({ positionals }, terminal) {
    if (positionals.length > 0) throw new UsageError(`unexpected argument "${positionals[0]}"`);
    printJson(jsonSchema(), terminal);
    return 0;
  },
};
