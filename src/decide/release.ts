import { fetchDestination, ProvisionalUnits } from "./anonymous-unit.ts";
import { compileCarriesNone, prepareRule, type Rule, requesterSubjects } from "./compile-condition.ts";
import type { Decision, DecisionRequest, Trail } from "./decision.ts";
import { Draw } from "./draw.ts";
import type { AttributeValue, Facts } from "./facts.ts";
import { Overrides } from "./override.ts";
import { type Pin, PinCookie, type PinRejection } from "./pin.ts";
import type { ReleaseSpec } from "./release-spec.ts";
import { attributeUnit, isSameUnit, randomUnit, type Unit } from "./unit.ts";

/**
 * A release, prepared for requests: decides which version answers each of them. It does no I/O and reads no clock; the
 * same request always gets the same decision. The order of steps and every case is in docs/decisions.md.
 */
export class Release {
  readonly name: string;
  readonly versions: readonly string[];
  readonly spec: ReleaseSpec;
  /** Who may ask for a version by name; undefined where nobody may. */
  readonly overrides: Overrides | undefined;
  readonly #known: ReadonlySet<string>;
  readonly #rules: readonly Rule[];
  readonly #rememberable: ReadonlyMap<string, Rule>;
  readonly #carriesNone: (facts: Facts) => boolean;
  readonly #split: Draw | undefined;
  readonly #cookie: PinCookie;
  /** Undefined where what a page loads is decided by itself. */
  readonly #firstContacts: ProvisionalUnits | undefined;

  constructor(spec: ReleaseSpec) {
    const { salt, cookie, assets } = spec.sticky;
    this.name = spec.name;
    this.versions = spec.versions;
    this.spec = spec;
    this.overrides = spec.override && new Overrides(spec.name, spec.override, spec.versions);
    this.#known = new Set(spec.versions);
    this.#rules = spec.rules.map((rule) => prepareRule(rule, spec.name, salt));
    this.#rememberable = new Map(this.#rules.filter((rule) => rule.asksRequester).map((rule) => [rule.name, rule]));
    this.#carriesNone = compileCarriesNone(spec.rules.flatMap((rule) => requesterSubjects(rule.when)));
    this.#split = spec.split && new Draw(spec.name, salt, spec.split);
    this.#cookie = new PinCookie(spec.name, cookie);
    const [secret] = cookie.secrets;
    const follows = assets === "follow-document" && secret !== undefined;
    this.#firstContacts = follows ? new ProvisionalUnits(spec.name, secret) : undefined;
  }

  /** The first of a request's cookies of this release's name that counts; `rejected` hears why each other did not. */
  readPin(values: readonly string[], nowMs: number, rejected: (cause: PinRejection) => void): Pin | undefined {
    return this.#cookie.read(values, nowMs, rejected);
  }

  /** The Set-Cookie value that writes a decision's pin; `secure` tells whether the request came by https. */
  setCookie(pin: Pin, secure: boolean): string {
    return this.#cookie.write(pin, secure);
  }

  /** Decides one request. With a trail, every step also says there what it did and why; the decision is the same. */
  decide(request: DecisionRequest, trail?: Trail): Decision {
    const given =
      this.#given("override", request.override, request, trail) ??
      this.#given("propagated", request.propagated, request, trail);
    if (given !== undefined) return given;
    const unit = this.#unitOf(request, trail);
    const pin = this.#currentPin(request.pin, unit, trail);
    const part = this.#firstContacts && fetchDestination(request.facts);
    if (part === "asset" && pin !== undefined && this.#known.has(pin.version)) return this.#asThePage(pin, unit, trail);
    const held = pin && this.#heldVersion(pin, trail);
    const remembered = pin && this.#rememberedRule(pin, request.facts, trail);
    return (
      this.#byRules(request, unit, held, remembered, trail) ??
      this.#bySplit(request, unit, held, trail) ??
      this.#byDefault(request, unit, trail)
    );
  }

  #given(
    reason: "override" | "propagated",
    version: string | undefined,
    request: DecisionRequest,
    trail: Trail | undefined,
  ): Decision | undefined {
    if (version === undefined) return undefined;
    // A propagated one is honoured though no service here has it: others in the chain do, and here the default serves.
    if (reason === "override" && !this.#known.has(version)) {
      trail?.push({ stage: reason, outcome: "ignored", detail: `${version} is not a version of this release` });
      return undefined;
    }
    trail?.push({ stage: reason, outcome: "used", detail: version });
    const unit = trail && this.#unitOf(request, trail);
    return { reason, version, rule: undefined, unit, pin: undefined, flipped: false };
  }

  /** The attribute where the request has it, else whoever the pin names, else somebody new. */
  #unitOf({ facts, pin, random, nowMs }: DecisionRequest, trail: Trail | undefined): Unit {
    const named = this.#unitFact(facts);
    if (named !== undefined) {
      trail?.push({ stage: "unit", outcome: "used", detail: `named by ${this.#unitFactName()}` });
      return attributeUnit(named);
    }
    if (pin !== undefined) {
      trail?.push({ stage: "unit", outcome: "used", detail: `from the pin (${pin.unit.source})` });
      return pin.unit;
    }
    const part = this.#firstContacts && fetchDestination(facts);
    const shared = part && this.#firstContacts?.unit(part, facts, nowMs);
    const detail = shared === undefined ? "new and random" : "new, of all first requests of this browser";
    trail?.push({ stage: "unit", outcome: "used", detail });
    return shared ?? randomUnit(random);
  }

  #unitFact(facts: Facts): AttributeValue | undefined {
    const { by } = this.spec.sticky;
    if (by === undefined) return undefined;
    return by.kind === "attribute" ? facts.attribute(by.index) : facts.clientAddress;
  }

  #unitFactName(): string {
    const { by } = this.spec.sticky;
    return by?.kind === "attribute" ? by.name : "clientAddress";
  }

  /** The pin, if its version and rule still count for this requester; its unit does in any case. */
  #currentPin(pin: Pin | undefined, unit: Unit, trail: Trail | undefined): Pin | undefined {
    if (pin === undefined) return undefined;
    if (pin.epoch < this.spec.sticky.epoch) {
      trail?.push({ stage: "pin", outcome: "void", detail: `epoch ${pin.epoch} is below ${this.spec.sticky.epoch}` });
      return undefined;
    }
    if (!isSamePerson(pin, unit)) {
      trail?.push({ stage: "pin", outcome: "void", detail: "another requester's" });
      return undefined;
    }
    return pin;
  }

  /** What a page needs comes from the version that the page came from, which is what its pin says; it is not written anew. */
  #asThePage({ version, rule }: Pin, unit: Unit, trail: Trail | undefined): Decision {
    trail?.push({ stage: "pin", outcome: "followed", detail: `the page is ${version}, and so is what it loads` });
    return { reason: "pin", version, rule, unit, pin: undefined, flipped: false };
  }

  /** The version that may replace a draw. */
  #heldVersion(pin: Pin, trail: Trail | undefined): string | undefined {
    if (this.spec.sticky.whenWeightsChange === "follow") {
      trail?.push({ stage: "pin", outcome: "used", detail: `says ${pin.version}, but draws follow the weights` });
      return undefined;
    }
    const isKnown = this.#known.has(pin.version);
    const detail = isKnown ? `holds ${pin.version}` : `${pin.version} is not a version of this release any more`;
    trail?.push({ stage: "pin", outcome: isKnown ? "used" : "void", detail });
    return isKnown ? pin.version : undefined;
  }

  /** The rule that set the pin, where the request has nothing that it could be judged by. */
  #rememberedRule(pin: Pin, facts: Facts, trail: Trail | undefined): Rule | undefined {
    const rule = pin.rule === undefined ? undefined : this.#rememberable.get(pin.rule);
    if (rule === undefined || !this.#carriesNone(facts)) return undefined;
    trail?.push({ stage: "pin", outcome: "remembered", detail: `rule ${rule.name} set it` });
    return rule;
  }

  #byRules(
    request: DecisionRequest,
    unit: Unit,
    held: string | undefined,
    remembered: Rule | undefined,
    trail: Trail | undefined,
  ): Decision | undefined {
    for (const rule of this.#rules) {
      if (rule === remembered) return this.#recall(request, unit, rule, held, trail);
      if (remembered !== undefined && rule.asksRequester) {
        trail?.push({
          stage: "rule",
          outcome: "skipped",
          detail: `${rule.name}: the request has nothing to judge it by`,
        });
      } else if (this.#matches(rule, request, unit, trail)) {
        return this.#byRule(request, unit, rule, held, trail);
      }
    }
    return undefined;
  }

  #matches(rule: Rule, { facts, nowMs }: DecisionRequest, unit: Unit, trail: Trail | undefined): boolean {
    const matches = rule.check.holds(facts, nowMs, unit);
    const outcome = matches ? "matched" : "not-matched";
    trail?.push({ stage: "rule", outcome, detail: `${rule.name}: ${rule.check.why(facts, nowMs, unit)}` });
    return matches;
  }

  #byRule(
    request: DecisionRequest,
    unit: Unit,
    rule: Rule,
    held: string | undefined,
    trail: Trail | undefined,
  ): Decision {
    if (rule.isWeighted && held !== undefined && this.#keeps(rule.draw, held, "rule", trail)) {
      return this.#byPin(request, unit, held, rule.name, trail);
    }
    const version = this.#drawn(rule.draw, unit, "rule", trail);
    const pin = this.#nextPin(request, unit, version, "rule", rule.name, trail);
    return { reason: "rule", version, rule: rule.name, unit, pin, flipped: isFlip(request.pin, pin) };
  }

  /** That the rule matched is what the pin remembers, so its present target answers, unless `hold` keeps the version. */
  #recall(
    request: DecisionRequest,
    unit: Unit,
    rule: Rule,
    held: string | undefined,
    trail: Trail | undefined,
  ): Decision {
    const keeps = held !== undefined && this.#keeps(rule.draw, held, "rule", trail);
    const version = keeps ? held : this.#drawn(rule.draw, unit, "rule", trail);
    return this.#byPin(request, unit, version, rule.name, trail);
  }

  #bySplit(
    request: DecisionRequest,
    unit: Unit,
    held: string | undefined,
    trail: Trail | undefined,
  ): Decision | undefined {
    if (this.#split === undefined) return undefined;
    if (held !== undefined && this.#keeps(this.#split, held, "split", trail)) {
      return this.#byPin(request, unit, held, undefined, trail);
    }
    const version = this.#drawn(this.#split, unit, "split", trail);
    const pin = this.#nextPin(request, unit, version, "split", undefined, trail);
    return { reason: "split", version, rule: undefined, unit, pin, flipped: isFlip(request.pin, pin) };
  }

  #byDefault(request: DecisionRequest, unit: Unit, trail: Trail | undefined): Decision {
    const version = request.defaultVersion;
    trail?.push({ stage: "default", outcome: "used", detail: version });
    const pin = this.#nextPin(request, unit, version, "default", undefined, trail);
    return { reason: "default", version, rule: undefined, unit, pin, flipped: isFlip(request.pin, pin) };
  }

  /** A pin that answers goes on saying how its version was assigned at first. */
  #byPin(
    request: DecisionRequest,
    unit: Unit,
    version: string,
    rule: string | undefined,
    trail: Trail | undefined,
  ): Decision {
    const how = request.pin?.how ?? "split";
    const pin = this.#nextPin(request, unit, version, how, request.pin?.rule, trail);
    return { reason: "pin", version, rule, unit, pin, flipped: isFlip(request.pin, pin) };
  }

  /** Whether a held version replaces this draw: under `evict` it needs weight there. */
  #keeps(draw: Draw, held: string, stage: "rule" | "split", trail: Trail | undefined): boolean {
    const drains = this.spec.sticky.onWeightZero === "drain";
    const keeps = drains || draw.hasWeight(held);
    const why = draw.hasWeight(held) ? "has weight" : drains ? "drains" : "has no weight and is evicted";
    trail?.push({ stage, outcome: keeps ? "kept" : "void", detail: `the pinned ${held} ${why}` });
    return keeps;
  }

  #drawn(draw: Draw, unit: Unit, stage: "rule" | "split", trail: Trail | undefined): string {
    const version = draw.pick(unit);
    trail?.push({ stage, outcome: "drawn", detail: `${version} (${describeScores(draw, unit)})` });
    return version;
  }

  /** The pin to write; undefined where the client's says the same and is young. A newer replica's epoch is left in it. */
  #nextPin(
    { pin, nowMs, facts }: DecisionRequest,
    unit: Unit,
    version: string,
    how: Pin["how"],
    rule: string | undefined,
    trail: Trail | undefined,
  ): Pin | undefined {
    const issuedAtSeconds = Math.floor(nowMs / 1000);
    const epoch = Math.max(this.spec.sticky.epoch, pin?.epoch ?? 0);
    const isRight =
      pin !== undefined &&
      pin.version === version &&
      pin.how === how &&
      pin.rule === rule &&
      pin.epoch === epoch &&
      isSameUnit(pin.unit, unit) &&
      !this.#cookie.isAging(pin, issuedAtSeconds);
    const next = isRight ? undefined : { epoch, issuedAtSeconds, version, how, rule, unit };
    const written = next === undefined || this.#isThePages(facts, pin, next) ? undefined : next;
    const outcome = written === undefined ? "unchanged" : "written";
    trail?.push({ stage: "cookie", outcome, detail: this.spec.sticky.cookie.name });
    return written;
  }

  /**
   * Whether the pin is left to the page's document to write, since it says which version the page came from. Assets never
   * write one; calls do not where nothing but the weights has moved.
   */
  #isThePages(facts: Facts, pin: Pin | undefined, next: Pin): boolean {
    const part = this.#firstContacts && fetchDestination(facts);
    if (part !== "call") return part === "asset";
    return (
      pin !== undefined &&
      pin.version !== next.version &&
      pin.how === next.how &&
      pin.rule === next.rule &&
      pin.epoch === next.epoch &&
      isSameUnit(pin.unit, next.unit)
    );
  }
}

/** A random unit that becomes an attribute is a login; an attribute that becomes another is somebody else. */
function isSamePerson(pin: Pin, unit: Unit): boolean {
  return pin.unit.source === "random" || isSameUnit(pin.unit, unit);
}

/** Whether a pin of the same requester is replaced by one of another version. */
function isFlip(pin: Pin | undefined, next: Pin | undefined): boolean {
  return pin !== undefined && next !== undefined && pin.version !== next.version && isSamePerson(pin, next.unit);
}

function describeScores(draw: Draw, unit: Unit): string {
  return draw
    .scores(unit)
    .map(({ version, share, score }) => `${version}: ${(share * 100).toFixed(2)} %, score ${score.toPrecision(4)}`)
    .join("; ");
}
