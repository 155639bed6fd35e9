import type { Condition, ValueList } from "../../decide/condition.ts";

/** How the lists of a condition differ from those that it had; both ask the same but for what is in their lists. */
export function listNotes(rule: string, before: Condition, after: Condition): string[] {
  const old = listsOf(before);
  return listsOf(after).flatMap((list, index) => {
    const change = changeOf(old[index], list);
    return change === undefined ? [] : [`rule ${rule}: ${change}; whom it takes may change`];
  });
}

function listsOf(condition: Condition): ValueList[] {
  switch (condition.kind) {
    case "all":
    case "any":
      return condition.of.flatMap(listsOf);
    case "not":
      return listsOf(condition.of);
    case "percent":
      return [];
    case "test":
      return condition.test.op === "inFile" ? [condition.test.list] : [];
  }
}

function changeOf(before: ValueList | undefined, after: ValueList): string | undefined {
  const old = new Set(before?.values());
  const next = new Set(after.values());
  const parts = [...amount("gains", missing(next, old)), ...amount("loses", missing(old, next))];
  return parts.length === 0 ? undefined : `the list ${after.path} ${parts.join(" and ")}`;
}

/** How many values of one set the other lacks. */
function missing(values: ReadonlySet<string>, from: ReadonlySet<string>): number {
  let count = 0;
  for (const value of values) if (!from.has(value)) count++;
  return count;
}

function amount(verb: string, count: number): string[] {
  return count === 0 ? [] : [`${verb} ${count} ${count === 1 ? "value" : "values"}`];
}
