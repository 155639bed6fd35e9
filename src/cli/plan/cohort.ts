import type { Condition } from "../../decide/condition.ts";
import type { ReleaseSpec } from "../../decide/release.ts";

const always: Condition = { kind: "all", of: [] };

/** Whether a condition tests facts of a request, which nobody knows beforehand; `percent` draws by the unit alone. */
export function testsFacts(condition: Condition): boolean {
  return hasKind(condition, "test");
}

/** Whether a condition draws a share of the units. */
export function drawsPercent(condition: Condition): boolean {
  return hasKind(condition, "percent");
}

function hasKind(condition: Condition, kind: "test" | "percent"): boolean {
  switch (condition.kind) {
    case "not":
      return hasKind(condition.of, kind);
    case "all":
    case "any":
      return condition.of.some((one) => hasKind(one, kind));
    default:
      return condition.kind === kind;
  }
}

/**
 * The release as it decides requests that meet the tests of this one rule, or of none: rules that test facts are left
 * out, rules that draw by the unit alone stay. So it can be asked about units of which nothing else is known.
 */
export function cohortOf(spec: ReleaseSpec, rule: string | undefined): ReleaseSpec {
  const rules = spec.rules.flatMap((one) => {
    if (!testsFacts(one.when)) return [one];
    return one.name === rule ? [{ ...one, when: withTestsMet(one.when) }] : [];
  });
  return { ...spec, override: undefined, rules };
}

/** What is left of a condition once its tests hold: `{ appVersion: …, percent: 10 }` is then a tenth of the units. */
function withTestsMet(condition: Condition): Condition {
  if (condition.kind !== "all") return testsFacts(condition) ? always : condition;
  return { kind: "all", of: condition.of.map(withTestsMet) };
}

/** The release without any rule or weight, so that the service's default answers. */
export function defaultOnly(spec: ReleaseSpec): ReleaseSpec {
  return { ...spec, override: undefined, rules: [], split: undefined };
}
