import { isDeepStrictEqual } from "node:util";
import type { MirrorSpec } from "../../config/compiled-config.ts";
import { formatDuration } from "../../config/schema-kit/scalars.ts";
import { type Condition, describeSubject, describeTest, type Test, type ValueList } from "../../decide/condition.ts";
import type { OverrideSpec, ReleaseSpec, RuleSpec, StickySpec, Weights } from "../../decide/release-spec.ts";
import { pinsCarryOver } from "./simulate.ts";

/** What a change does to a release beside moving units, in sentences for the person who is about to make it. */
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
  const text = (split: Weights | undefined): string => (split === undefined ? "the default" : useText(split));
  return [`the split goes from ${text(before)} to ${text(after)}`];
}

function unitNotes(before: StickySpec, after: StickySpec): string[] {
  const notes: string[] = [];
  if (unitName(before) !== unitName(after)) {
    notes.push(`what names a unit goes from ${unitName(before)} to ${unitName(after)}: units are drawn anew`);
  }
  if (before.salt !== after.salt) notes.push("the salt changes: everyone is drawn anew");
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
  if (epoch > wasEpoch) notes.push(`the epoch goes up from ${wasEpoch} to ${epoch}: every pin loses its version`);
  if (epoch < wasEpoch) {
    notes.push(
      `the epoch goes down from ${wasEpoch} to ${epoch}: pins of the higher one still count, lowering voids nothing`,
    );
  }
  if (was.name !== will.name) notes.push(`the cookie goes from ${was.name} to ${will.name}: every pin is lost`);
  else if (!pinsCarryOver(before, after)) {
    notes.push("no secret verifies the pins of now: every pin is lost; keep the old secret on a further line");
  }
  if (was.path !== will.path || was.domain !== will.domain) {
    notes.push("the cookie's path or domain changes: browsers keep the old pin beside the new one until it expires");
  }
  if (was.maxAgeMs !== will.maxAgeMs) {
    notes.push(`the life of a pin goes from ${formatDuration(was.maxAgeMs)} to ${formatDuration(will.maxAgeMs)}`);
  }
  if (was.secure !== will.secure || was.sameSite !== will.sameSite) {
    notes.push("the cookie's secure or sameSite changes, for pins written from now on");
  }
  return notes;
}

function holdNotes(before: ReleaseSpec, after: ReleaseSpec): string[] {
  const { whenWeightsChange: was, onWeightZero: wasZero } = before.sticky;
  const { whenWeightsChange: will, onWeightZero: willZero } = after.sticky;
  if (was === "hold" && will === "follow") {
    return [
      "hold gives way to follow: whoever was held on another version than the weights say moves at the next request",
    ];
  }
  if (was === "follow" && will === "hold")
    return ["follow gives way to hold: users keep the version that their pin holds"];
  if (will === "hold" && wasZero !== willZero) return [`onWeightZero goes from ${wasZero} to ${willZero}`];
  return [];
}

function ruleNotes(before: readonly RuleSpec[], after: readonly RuleSpec[]): string[] {
  const was = new Map(before.map((rule) => [rule.name, rule]));
  const will = new Map(after.map((rule) => [rule.name, rule]));
  const notes: string[] = [];
  for (const { name } of after) if (!was.has(name)) notes.push(`rule ${name} is added`);
  for (const { name } of before)
    if (!will.has(name)) notes.push(`rule ${name} is removed: pins that it set are drawn anew`);
  for (const rule of after) {
    const old = was.get(rule.name);
    if (old === undefined) continue;
    if (conditionText(old.when) !== conditionText(rule.when))
      notes.push(`rule ${rule.name} asks for something else: whom it takes may change`);
    else notes.push(...listNotes(rule.name, old.when, rule.when));
    if (!isDeepStrictEqual(old.use, rule.use))
      notes.push(`rule ${rule.name} goes from ${useText(old.use)} to ${useText(rule.use)}`);
  }
  const kept = before.filter(({ name }) => will.has(name)).map(({ name }) => name);
  const keptNow = after.filter(({ name }) => was.has(name)).map(({ name }) => name);
  if (kept.join() !== keptNow.join()) notes.push("the order of rules changes: the first that matches wins");
  return notes;
}

function useText(use: string | Weights): string {
  if (typeof use === "string") return use;
  const weights = Object.entries(use).map(([version, weight]) => `${version}: ${weight}`);
  return `{ ${weights.join(", ")} }`;
}

/** Says all that a condition asks, but for what is in its lists; of two that ask the same the texts are the same. */
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

/** A list is what it holds, wherever its file is. */
function testText(test: Test): string {
  return test.op === "inFile" ? "in a file" : describeTest(test);
}

function overrideNotes({ override: before }: ReleaseSpec, { override: after }: ReleaseSpec): string[] {
  if (before === undefined && after === undefined) return [];
  if (before === undefined) return ["testers may now ask for a version"];
  if (after === undefined) return ["testers may no longer ask for a version"];
  const notes: string[] = [];
  if (before.header !== after.header)
    notes.push(`testers' header goes from ${before.header ?? "none"} to ${after.header ?? "none"}`);
  if (before.cookie !== after.cookie)
    notes.push(`testers' cookie goes from ${before.cookie ?? "none"} to ${after.cookie ?? "none"}`);
  const ranges = ({ allowFrom }: OverrideSpec): string => allowFrom.map(({ text }) => text).join(", ") || "nowhere";
  if (ranges(before) !== ranges(after)) {
    notes.push(`where testers may ask from goes from ${ranges(before)} to ${ranges(after)}`);
  }
  const [signer] = before.secrets;
  if (signer !== undefined && !after.secrets.some((secret) => isDeepStrictEqual(secret, signer))) {
    notes.push("no secret verifies the override tokens of now: they stop counting");
  }
  return notes;
}

function pageNotes({ assets: before }: StickySpec, { assets: after }: StickySpec): string[] {
  if (before === after) return [];
  return [
    after === "independent" ? "what a page loads is decided by itself" : "what a page loads follows its document",
  ];
}

function propagationNotes({ propagate: before }: ReleaseSpec, { propagate: after }: ReleaseSpec): string[] {
  if (before === undefined && after === undefined) return [];
  if (before === undefined) return ["upstreams are told the version assigned"];
  if (after === undefined)
    return ["upstreams are no longer told the version assigned, and no caller's word for it counts"];
  const notes: string[] = [];
  if (before.baggage !== after.baggage || !isDeepStrictEqual(before.header, after.header)) {
    notes.push("how upstreams are told the version assigned changes");
  }
  const callers = ({ acceptFrom }: typeof after): string => acceptFrom.map(({ text }) => text).join(", ") || "nobody";
  if (callers(before) !== callers(after)) {
    notes.push(`whose word for the version counts goes from ${callers(before)} to ${callers(after)}`);
  }
  return notes;
}

/** How the lists of a condition differ from those that it had; both ask the same but for what is in their lists. */
function listNotes(rule: string, before: Condition, after: Condition): string[] {
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

/** What a change does to the copies of a release's requests, in sentences. */
export function mirrorNotes(before: MirrorSpec | undefined, after: MirrorSpec | undefined): string[] {
  if (before === undefined) return after === undefined ? [] : [`requests are copied to ${textOf(after)}`];
  if (after === undefined) return [`requests are no longer copied to ${before.version}`];
  const notes: string[] = [];
  if (textOf(before) !== textOf(after)) notes.push(`copies go from ${textOf(before)} to ${textOf(after)}`);
  if (before.maxBodyBytes !== after.maxBodyBytes) {
    notes.push(`copies are of bodies up to ${after.maxBodyBytes} bytes, before ${before.maxBodyBytes}`);
  }
  if (before.maxInFlight !== after.maxInFlight) {
    notes.push(`the most copies under way in a worker go from ${before.maxInFlight} to ${after.maxInFlight}`);
  }
  return notes;
}

function textOf({ version, percent, methods }: MirrorSpec): string {
  return `${version} (${percent} % of units, ${methods.join(", ")})`;
}
