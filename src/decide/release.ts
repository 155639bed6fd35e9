import { compileCarriesNone, prepareRule, type Rule, requesterSubjects } from "./compile-condition.ts";
import type { Decision, DecisionRequest, Trail } from "./decision.ts";
import { Draw } from "./draw.ts";
import type { AttributeValue, Facts } from "./facts.ts";
import { Overrides } from "./override.ts";
import { Pages } from "./pages.ts";
import { type Pin, PinCookie, type PinRejection } from "./pin.ts";
import { decidePreflight, isPreflight } from "./preflight.ts";
import type { ReleaseSpec } from "./release-spec.ts";
import { attributeUnit, isSameUnit, randomUnit, type Unit } from "./unit.ts";

/**
 * A compiled release, which decides the version for each request. It does no I/O and reads no clock: equal requests get
 * equal decisions. docs/decisions.md lists the order of steps and every case.
 */
export class Release {
  readonly name: string;
  readonly versions: readonly string[];
  readonly spec: ReleaseSpec;
  /** Undefined if the release has no overrides. */
  readonly overrides: Overrides | undefined;
  readonly #knownVersions: ReadonlySet<string>;
  readonly #rules: readonly Rule[];
  readonly #rememberable: ReadonlyMap<string, Rule>;
  readonly #carriesNone: (facts: Facts) => boolean;
  readonly #split: Draw | undefined;
  readonly #cookie: PinCookie;
  /** Undefined if `sticky.assets` is `independent`. */
  readonly #pages: Pages | undefined;

  constructor(spec: ReleaseSpec) {
    const { salt, cookie } = spec.sticky;
    this.name = spec.name;
    this.versions = spec.versions;
    this.spec = spec;
    this.overrides = spec.override && new Overrides(spec.name, spec.override, spec.versions);
    this.#knownVersions = new Set(spec.versions);
    this.#rules = spec.rules.map((rule) => prepareRule(rule, spec.name, salt));
    this.#rememberable = new Map(this.#rules.filter((rule) => rule.asksRequester).map((rule) => [rule.name, rule]));
    this.#carriesNone = compileCarriesNone(spec.rules.flatMap((rule) => requesterSubjects(rule.when)));
    this.#split = spec.split && new Draw(spec.name, salt, spec.split);
    this.#cookie = new PinCookie(spec.name, cookie);
    this.#pages = Pages.of(spec);
  }

  /** The first valid pin of a request's cookies of this release's name; see `PinCookie.read`. */
  readPin(values: readonly string[], nowMs: number, rejected: (cause: PinRejection) => void): Pin | undefined {
    return this.#cookie.read(values, nowMs, rejected);
  }

  /** The Set-Cookie value for a decision's pin; `secure` is whether the request came by https. */
  setCookie(pin: Pin, secure: boolean): string {
    return this.#cookie.write(pin, secure);
  }

  /** Decides one request. With a trail, every step also records what it did and why; the decision is the same. */
  decide(request: DecisionRequest, trail?: Trail): Decision {
    const requested =
      this.#byRequest("override", request.override, request, trail) ??
      this.#byRequest("propagated", request.propagated, request, trail);
    if (requested !== undefined) return requested;
    if (isPreflight(request.facts)) return decidePreflight(this.#rules, this.#split, request, trail);
    const unit = this.#unitOf(request, trail);
    const pin = this.#currentPin(request.pin, unit, trail);
    if (pin === undefined) return this.#byPolicy(request, unit, pin, trail);
    switch (this.#pages?.followed(pin, request.facts)) {
      case "asset":
        return this.#byDocument(pin, unit, undefined, "assets", trail);
      case "call":
        return this.#callOfPage(request, unit, pin, trail);
      case "prefetch":
        return this.#prefetched(request, unit, pin, trail);
      default:
        return this.#byPolicy(request, unit, pin, trail);
    }
  }

  /** By rules, split and default. `pin`: the current one, which under `hold` may replace a draw. */
  #byPolicy(request: DecisionRequest, unit: Unit, pin: Pin | undefined, trail: Trail | undefined): Decision {
    const held = pin && this.#heldVersion(pin, trail);
    const remembered = pin && this.#rememberedRule(pin, request.facts, trail);
    return (
      this.#byRules(request, unit, held, remembered, trail) ??
      this.#bySplit(request, unit, held, trail) ??
      this.#byDefault(request, unit, trail)
    );
  }

  #byRequest(
    reason: "override" | "propagated",
    version: string | undefined,
    request: DecisionRequest,
    trail: Trail | undefined,
  ): Decision | undefined {
    if (version === undefined) return undefined;
    // A propagated version is kept even if this release lacks it: other services of the chain may have it, and this one
    // serves its default.
    if (reason === "override" && !this.#knownVersions.has(version)) {
      trail?.push({ stage: reason, outcome: "ignored", detail: `${version} is not a version of this release` });
      return undefined;
    }
    trail?.push({ stage: reason, outcome: "used", detail: version });
    const unit = trail && this.#unitOf(request, trail);
    return { reason, version, rule: undefined, unit, pin: undefined, flipped: false };
  }

  /** From the `by` fact if the request has it, else from the pin, else new. */
  #unitOf({ facts, pin, random, nowMs }: DecisionRequest, trail: Trail | undefined): Unit {
    const named = this.#unitFact(facts);
    if (named !== undefined) {
      trail?.push({ stage: "unit", outcome: "used", detail: `from ${this.#unitFactName()}` });
      return attributeUnit(named);
    }
    if (pin !== undefined) {
      trail?.push({ stage: "unit", outcome: "used", detail: `from the pin (${pin.unit.source})` });
      return pin.unit;
    }
    const destination = this.#pages?.destinationOf(facts);
    const shared = destination && this.#pages?.units.unit(destination, facts, nowMs);
    const detail = shared === undefined ? "new and random" : "new, shared by this browser's first requests";
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

  /** The pin, if its version and rule are valid for this requester. Its unit is used in any case. */
  #currentPin(pin: Pin | undefined, unit: Unit, trail: Trail | undefined): Pin | undefined {
    if (pin === undefined) return undefined;
    if (pin.epoch < this.spec.sticky.epoch) {
      trail?.push({ stage: "pin", outcome: "void", detail: `epoch ${pin.epoch} is below ${this.spec.sticky.epoch}` });
      return undefined;
    }
    if (!isSameRequester(pin, unit)) {
      trail?.push({ stage: "pin", outcome: "void", detail: "belongs to another requester" });
      return undefined;
    }
    return pin;
  }

  /**
   * A call of a page's script, or its frame, is served by the page's version. What it tells of the requester (a login, a rule that
   * matches) is written to the pin beside that version, for the next document.
   */
  #callOfPage(request: DecisionRequest, unit: Unit, pin: Pin, trail: Trail | undefined): Decision {
    const issuedAtSeconds = Math.floor(request.nowMs / 1000);
    const decided = this.#byPolicy(request, unit, pin, undefined).pin;
    const learned = decided !== undefined && !changesOnlyVersion(pin, decided) ? decided : undefined;
    const next = learned ?? (this.#cookie.isAging(pin, issuedAtSeconds) ? pin : undefined);
    const written = next && { ...next, issuedAtSeconds, version: pin.version };
    const decision = this.#byDocument(pin, unit, written, "fetches", trail);
    const outcome = written === undefined ? "unchanged" : "written";
    trail?.push({ stage: "cookie", outcome, detail: this.spec.sticky.cookie.name });
    return decision;
  }

  /**
   * A document that may replace the page later, or never. If only the weights have changed, it has the page's version, so
   * that the pin stays right for both. What a rule or a login assigns is decided as usual.
   */
  #prefetched(request: DecisionRequest, unit: Unit, pin: Pin, trail: Trail | undefined): Decision {
    const next = this.#byPolicy(request, unit, pin, undefined).pin;
    return next !== undefined && changesOnlyVersion(pin, next)
      ? this.#byDocument(pin, unit, undefined, "prefetched documents", trail)
      : this.#byPolicy(request, unit, pin, trail);
  }

  #byDocument(
    { version, rule }: Pin,
    unit: Unit,
    pin: Pin | undefined,
    what: "assets" | "fetches" | "prefetched documents",
    trail: Trail | undefined,
  ): Decision {
    trail?.push({ stage: "pin", outcome: "followed", detail: `${what} follow their document, which is ${version}` });
    return { reason: "pin", version, rule, unit, pin, flipped: false };
  }

  /** Under `hold`, the pinned version, which may replace a draw. */
  #heldVersion(pin: Pin, trail: Trail | undefined): string | undefined {
    if (this.spec.sticky.whenWeightsChange === "follow") {
      trail?.push({ stage: "pin", outcome: "used", detail: `names ${pin.version}, but draws follow the weights` });
      return undefined;
    }
    const isKnown = this.#knownVersions.has(pin.version);
    const detail = isKnown ? `holds ${pin.version}` : `${pin.version} is no longer a version of this release`;
    trail?.push({ stage: "pin", outcome: isKnown ? "used" : "void", detail });
    return isKnown ? pin.version : undefined;
  }

  /** The rule that set the pin, if the request carries none of the facts that rules read. */
  #rememberedRule(pin: Pin, facts: Facts, trail: Trail | undefined): Rule | undefined {
    const rule = pin.rule === undefined ? undefined : this.#rememberable.get(pin.rule);
    if (rule === undefined || !this.#carriesNone(facts)) return undefined;
    trail?.push({ stage: "pin", outcome: "remembered", detail: `set by rule ${rule.name}` });
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
          detail: `${rule.name}: the request carries none of the facts that rules read`,
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
    if (rule.isWeighted && held !== undefined && this.#keepsHeld(rule.draw, held, "rule", trail)) {
      return this.#byPin(request, unit, held, rule.name, trail);
    }
    const version = this.#drawn(rule.draw, unit, "rule", trail);
    const pin = this.#nextPin(request, unit, version, "rule", rule.name, trail);
    return { reason: "rule", version, rule: rule.name, unit, pin, flipped: isFlip(request.pin, pin) };
  }

  /**
   * The pin remembers that the rule matched, not the version: the rule's current `use` applies unless `hold` keeps it.
   */
  #recall(
    request: DecisionRequest,
    unit: Unit,
    rule: Rule,
    held: string | undefined,
    trail: Trail | undefined,
  ): Decision {
    const keeps = held !== undefined && this.#keepsHeld(rule.draw, held, "rule", trail);
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
    if (held !== undefined && this.#keepsHeld(this.#split, held, "split", trail)) {
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

  /** The pin keeps its `how` and `rule`: they record the step that first assigned the version. */
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

  /** Whether the held version replaces this draw; under `evict` only if it has weight in it. */
  #keepsHeld(draw: Draw, held: string, stage: "rule" | "split", trail: Trail | undefined): boolean {
    const drains = this.spec.sticky.onWeightZero === "drain";
    const keeps = drains || draw.hasWeight(held);
    const why = draw.hasWeight(held)
      ? "has weight"
      : drains
        ? "has no weight and drains"
        : "has no weight and is evicted";
    trail?.push({ stage, outcome: keeps ? "kept" : "void", detail: `the pinned version ${held} ${why}` });
    return keeps;
  }

  #drawn(draw: Draw, unit: Unit, stage: "rule" | "split", trail: Trail | undefined): string {
    const version = draw.pick(unit);
    trail?.push({ stage, outcome: "drawn", detail: `${version} (${describeScores(draw, unit)})` });
    return version;
  }

  /** The pin to write; undefined if the client's is equal and not aging. A higher epoch of a newer replica is kept. */
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
    const isCurrent =
      pin !== undefined &&
      pin.version === version &&
      pin.how === how &&
      pin.rule === rule &&
      pin.epoch === epoch &&
      isSameUnit(pin.unit, unit) &&
      !this.#cookie.isAging(pin, issuedAtSeconds);
    const next = isCurrent ? undefined : { epoch, issuedAtSeconds, version, how, rule, unit };
    const written = next === undefined || this.#isLeftToDocument(facts, pin, next) ? undefined : next;
    const outcome = written === undefined ? "unchanged" : "written";
    trail?.push({ stage: "cookie", outcome, detail: this.spec.sticky.cookie.name });
    return written;
  }

  /**
   * Whether only the page's document may write the pin, which names the version that served the page. Assets never
   * write it; calls do not if only the weights have changed the version.
   */
  #isLeftToDocument(facts: Facts, pin: Pin | undefined, next: Pin): boolean {
    const destination = this.#pages?.destinationOf(facts);
    if (destination !== "call") return destination === "asset";
    return pin !== undefined && changesOnlyVersion(pin, next);
  }
}

/** A random unit replaced by an attribute's is a login; one attribute's replaced by another's is another requester. */
function isSameRequester(pin: Pin, unit: Unit): boolean {
  return pin.unit.source === "random" || isSameUnit(pin.unit, unit);
}

/** Whether only the weights made the next pin another one. */
function changesOnlyVersion(pin: Pin, next: Pin): boolean {
  return (
    pin.version !== next.version &&
    pin.how === next.how &&
    pin.rule === next.rule &&
    pin.epoch === next.epoch &&
    isSameUnit(pin.unit, next.unit)
  );
}

/** Whether a pin of the same requester changes its version. */
function isFlip(pin: Pin | undefined, next: Pin | undefined): boolean {
  return pin !== undefined && next !== undefined && pin.version !== next.version && isSameRequester(pin, next.unit);
}

function describeScores(draw: Draw, unit: Unit): string {
  return draw
    .scores(unit)
    .map(({ version, share, score }) => `${version}: ${(share * 100).toFixed(2)} %, score ${score.toPrecision(4)}`)
    .join("; ");
}
