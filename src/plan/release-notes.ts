import { isDeepStrictEqual } from "node:util";
import type { MirrorSpec } from "../config/compiled-config.ts";
import { formatDuration } from "../config/schema-kit/scalars.ts";
import { type Condition, describeSubject, describeTest, type Test, type ValueList } from "../decide/condition.ts";
import {
  describeUse,
  type OverrideSpec,
  type ReleaseSpec,
  type RuleSpec,
  type StickySpec,
  type Weights,
} from "../decide/release-spec.ts";
import { pinsCarryOver } from "./simulate.ts";

/** The effects of a change on a release other than moving units: one sentence each. */
export function releaseNotes(before: ReleaseSpec, after: ReleaseSpec): string[] {
  return [
    ...splitNotes(before.split, after.split),
    ...unitNotes(before.sticky, after.sticky),
    ...pinNotes(before, after),
    ...holdNotes(before, after),
    ...ruleNotes(before.rules, after.rules),
    ...overrideNotes(before, after),
    ...pageNotes(before.sticky, after.sticky),
    ...propagationNotes(before, after),
  ];
}

function splitNotes(before: Weights | undefined, after: Weights | undefined): string[] {
  if (isDeepStrictEqual(before, after)) return [];
  const text = (split: Weights | undefined): string => (split === undefined ? "the default" : describeUse(split));
  return [`the split changes from ${text(before)} to ${text(after)}`];
}

function unitNotes(before: StickySpec, after: StickySpec): string[] {
  const notes: string[] = [];
  if (unitName(before) !== unitName(after)) {
    notes.push(`the unit changes from ${unitName(before)} to ${unitName(after)}: all users are drawn again`);
  }
  if (before.salt !== after.salt) notes.push("the salt changes: all users are drawn again");
  return notes;
}

function unitName({ by }: StickySpec): string {
  if (by === undefined) return "the pin's random id";
  return by.kind === "attribute" ? `attribute ${by.name}` : "the client's address";
}

function pinNotes(before: ReleaseSpec, after: ReleaseSpec): string[] {
  const { cookie: was, epoch: wasEpoch } = before.sticky;
  const { cookie: will, epoch } = after.sticky;
  const notes: string[] = [];
  if (epoch > wasEpoch) notes.push(`the epoch rises from ${wasEpoch} to ${epoch}: existing pins lose their version`);
  if (epoch < wasEpoch) {
    notes.push(
      `the epoch falls from ${wasEpoch} to ${epoch}: pins with the higher epoch stay valid, so this invalidates none`,
    );
  }
  if (was.name !== will.name)
    notes.push(`the cookie's name changes from ${was.name} to ${will.name}: all existing pins are lost`);
  else if (!pinsCarryOver(before, after)) {
    notes.push(
      "the new file cannot verify existing pins; all would be rejected: keep the old secret as a further line of secretFile",
    );
  }
  // Name, domain, path and partition identify a cookie (RFC 6265 §5.3, CHIPS), so the new pin does not replace the old.
  if (was.path !== will.path || was.domain !== will.domain || was.partitioned !== will.partitioned) {
    notes.push(
      "the cookie's path, domain or partition changes: browsers keep the old pin besides the new one until it expires",
    );
  }
  if (was.maxAgeMs !== will.maxAgeMs) {
    const age = (ms: typeof was.maxAgeMs): string => (ms === "session" ? ms : formatDuration(ms));
    notes.push(`the cookie's maxAge changes from ${age(was.maxAgeMs)} to ${age(will.maxAgeMs)}`);
  }
  if (was.secure !== will.secure || was.sameSite !== will.sameSite) {
    notes.push("the cookie's secure or sameSite changes, for newly set pins only");
  }
  return notes;
}

function holdNotes(before: ReleaseSpec, after: ReleaseSpec): string[] {
  const { whenWeightsChange: was, onWeightZero: wasZero } = before.sticky;
  const { whenWeightsChange: will, onWeightZero: willZero } = after.sticky;
  if (was === "hold" && will === "follow") {
    return ["hold changes to follow: users held on a version other than the drawn one move at their next request"];
  }
  if (was === "follow" && will === "hold") return ["follow changes to hold: users keep the version in their pin"];
  if (will === "hold" && wasZero !== willZero) return [`onWeightZero changes from ${wasZero} to ${willZero}`];
  return [];
}

function ruleNotes(before: readonly RuleSpec[], after: readonly RuleSpec[]): string[] {
  const was = new Map(before.map((rule) => [rule.name, rule]));
  const will = new Map(after.map((rule) => [rule.name, rule]));
  const notes: string[] = [];
  for (const { name } of after) if (!was.has(name)) notes.push(`rule ${name} is added`);
  for (const { name } of before)
    if (!will.has(name)) notes.push(`rule ${name} is removed: users pinned by it are drawn again`);
  for (const rule of after) {
    const old = was.get(rule.name);
    if (old === undefined) continue;
    if (conditionText(old.when) !== conditionText(rule.when))
      notes.push(`rule ${rule.name} has another condition: the set of matching users may change`);
    else notes.push(...listNotes(rule.name, old.when, rule.when));
    if (!isDeepStrictEqual(old.use, rule.use))
      notes.push(`rule ${rule.name} changes from ${describeUse(old.use)} to ${describeUse(rule.use)}`);
  }
  const kept = before.filter(({ name }) => will.has(name)).map(({ name }) => name);
  const keptNow = after.filter(({ name }) => was.has(name)).map(({ name }) => name);
  if (kept.join() !== keptNow.join()) notes.push("the order of rules changes: the first match wins");
  return notes;
}

/** A condition as text, without the contents of its lists. Equal conditions give equal texts. */
function conditionText(condition: Condition): string {
  switch (condition.kind) {
    case "all":
    case "any":
      return `${condition.kind}(${condition.of.map(conditionText).join("; ")})`;
    case "not":
      return `not(${conditionText(condition.of)})`;
    case "percent":
      return `percent ${condition.percent} ${condition.seed ?? ""}`;
    case "test":
      return `${describeSubject(condition.subject)} ${testText(condition.test)}`;
  }
}

/** Without the file's path: a moved list with the same values is the same test. */
function testText(test: Test): string {
  return test.op === "inFile" ? "in a file" : describeTest(test);
}

/** Differences in the contents of lists, between two conditions that are otherwise equal. */
function listNotes(rule: string, before: Condition, after: Condition): string[] {
  const old = listsOf(before);
  return listsOf(after).flatMap((list, index) => {
    const change = changeOf(old[index], list);
    return change === undefined ? [] : [`rule ${rule}: ${change}; the set of matching users may change`];
  });
}

/** In order of occurrence, so that the lists of two equal conditions correspond by index. */
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

/** The number of values that `from` lacks. */
function missing(values: ReadonlySet<string>, from: ReadonlySet<string>): number {
  let count = 0;
  for (const value of values) if (!from.has(value)) count++;
  return count;
}

function amount(verb: string, count: number): string[] {
  return count === 0 ? [] : [`${verb} ${count} ${count === 1 ? "value" : "values"}`];
}

function overrideNotes({ override: before }: ReleaseSpec, { override: after }: ReleaseSpec): string[] {
  if (before === undefined && after === undefined) return [];
  if (before === undefined) return ["testers may now choose a version"];
  if (after === undefined) return ["testers may no longer choose a version"];
  const notes: string[] = [];
  if (before.header !== after.header)
    notes.push(`the override header changes from ${before.header ?? "none"} to ${after.header ?? "none"}`);
  if (before.cookie !== after.cookie)
    notes.push(`the override cookie changes from ${before.cookie ?? "none"} to ${after.cookie ?? "none"}`);
  const ranges = ({ allowFrom }: OverrideSpec): string => allowFrom.map(({ text }) => text).join(", ") || "none";
  if (ranges(before) !== ranges(after)) {
    notes.push(`the override's allowFrom changes from ${ranges(before)} to ${ranges(after)}`);
  }
  // Existing tokens were signed with the first secret; the others only verify.
  const [signer] = before.secrets;
  if (signer !== undefined && !after.secrets.some((secret) => isDeepStrictEqual(secret, signer))) {
    notes.push("the new file cannot verify existing override tokens; all would be rejected");
  }
  return notes;
}

function pageNotes(before: StickySpec, after: StickySpec): string[] {
  const notes: string[] = [];
  const how = (follows: string): string =>
    follows === "independent" ? "are decided independently" : "follow the version of the page";
  if (before.assets !== after.assets) notes.push(`requests for a page's assets ${how(after.assets)}`);
  if (before.fetches !== after.fetches) notes.push(`what a page's scripts fetch: requests ${how(after.fetches)}`);
  if (!isDeepStrictEqual(before.assetPaths, after.assetPaths)) {
    notes.push(`the paths that count as assets are ${after.assetPaths.join(", ") || "none"}`);
  }
  return notes;
}

function propagationNotes({ propagate: before }: ReleaseSpec, { propagate: after }: ReleaseSpec): string[] {
  if (before === undefined && after === undefined) return [];
  if (before === undefined) return ["upstreams now receive the assigned version"];
  if (after === undefined)
    return ["upstreams no longer receive the assigned version, and versions sent by callers are ignored"];
  const notes: string[] = [];
  if (before.baggage !== after.baggage || !isDeepStrictEqual(before.header, after.header)) {
    notes.push("the form in which upstreams receive the assigned version changes");
  }
  const callers = ({ acceptFrom }: typeof after): string => acceptFrom.map(({ text }) => text).join(", ") || "none";
  if (callers(before) !== callers(after)) {
    notes.push(`propagate.acceptFrom changes from ${callers(before)} to ${callers(after)}`);
  }
  return notes;
}

/** What a change does to a release's mirrored requests: one sentence per effect. */
export function mirrorNotes(before: MirrorSpec | undefined, after: MirrorSpec | undefined): string[] {
  if (before === undefined) return after === undefined ? [] : [`requests are now mirrored to ${mirrorText(after)}`];
  if (after === undefined) return [`requests are no longer mirrored to ${before.version}`];
  const notes: string[] = [];
  if (mirrorText(before) !== mirrorText(after)) {
    notes.push(`the mirror changes from ${mirrorText(before)} to ${mirrorText(after)}`);
  }
  if (before.maxBodyBytes !== after.maxBodyBytes) {
    notes.push(`the mirror's maximum body changes from ${before.maxBodyBytes} to ${after.maxBodyBytes} bytes`);
  }
  if (before.maxInFlight !== after.maxInFlight) {
    notes.push(
      `the maximum of mirrored requests in flight per worker changes from ${before.maxInFlight} to ${after.maxInFlight}`,
    );
  }
  return notes;
}

function mirrorText({ version, percent, methods }: MirrorSpec): string {
  return `${version} (${percent} % of units, ${methods.join(", ")})`;
}
