import { planChange, stableSecret } from "../plan/plan.ts";
import { type Command, type OptionValues, textOption, UsageError } from "./command.ts";
import { loadOrTell, printJson } from "./load-config.ts";
import { describePlan } from "./plan/describe.ts";

const defaultUnits = 100_000;
const maxUnits = 10_000_000;

export const plan: Command = {
  usage: `OLD NEW [--json] [--units ${defaultUnits}]

  OLD NEW         two configuration files, also kubernetes://…
      --units N   number of units to simulate, up to ${maxUnits}; default ${defaultUnits}
      --json      print one JSON object

Every run simulates the same units. Which users a rule matches depends on their requests, so each rule is simulated
separately as if its tests matched, and the split as if no rule did.`,
  options: { units: { type: "string" }, json: { type: "boolean" } },
  async run({ options, positionals }, terminal) {
    const [oldFile, newFile, surplus] = positionals;
    if (oldFile === undefined || newFile === undefined)
      throw new UsageError("two configuration files are needed: OLD NEW");
    if (surplus !== undefined) throw new UsageError(`unexpected argument "${surplus}"`);
    const units = readUnits(options);
    const old = await loadOrTell(oldFile, terminal, stableSecret);
    const next = await loadOrTell(newFile, terminal, stableSecret);
    if (old === undefined || next === undefined) return 2;
    const made = planChange({ ...old, name: oldFile }, { ...next, name: newFile }, units);
    if (options["json"] === true) printJson(made, terminal);
    else terminal.out(describePlan(made));
    return 0;
  },
};

function readUnits(options: OptionValues): number {
  const text = textOption(options, "units");
  if (text === undefined) return defaultUnits;
  const units = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (units < 1 || units > maxUnits) throw new UsageError(`--units "${text}" is not a number from 1 to ${maxUnits}`);
  return units;
}
