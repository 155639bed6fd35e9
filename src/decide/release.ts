import { compileCarriesNone, prepareRule, type Rule, requesterSubjects } from "./compile-condition.ts";
import type { Decision, DecisionRequest, Trail } from "./decision.ts";
import type { Facts } from "./facts.ts";
import { hashText, hashToHex } from "./hash.ts";
import { Overrides } from "./override.ts";
import { Pages } from "./pages.ts";
import { type PinBytes, PinCookie, type PinRejection } from "./pin.ts";
import { changesOnlyVersion, isFlip, isSameRequester, type Pin } from "./pin-content.ts";
import { drawVersion, givesVersion, type PolicyInForce, policyInForce } from "./policy-in-force.ts";
import { decidePreflight, isPreflight } from "./preflight.ts";
import type { ReleaseSpec, Weights } from "./release-spec.ts";
import type { ReleaseTraffic } from "./release-traffic.ts";
import { unitOfRequest } from "./request-unit.ts";
import type { RolloutDraw } from "./rollout-draw.ts";
import { isSameUnit, type Unit } from "./unit.ts";

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
  readonly #configuredRules: readonly Rule[];
  readonly #carriesNone: (facts: Facts) => boolean;
  readonly #cookie: PinCookie;
  readonly #digestSeed: number;
  /** Undefined if `sticky.assets` is `independent`. */
  readonly #pages: Pages | undefined;
  #inForce: PolicyInForce;

  constructor(spec: ReleaseSpec) {
    const { salt, cookie } = spec.sticky;
    this.name = spec.name;
    this.versions = spec.versions;
    this.spec = spec;
    this.overrides = spec.override && new Overrides(spec.name, spec.override, spec.versions);
    this.#knownVersions = new Set(spec.versions);
    const baseline = spec.rollout?.baseline;
    this.#configuredRules = spec.rules.map((rule) => prepareRule(rule, spec.name, salt, baseline));
    this.#carriesNone = compileCarriesNone(spec.rules.flatMap((rule) => requesterSubjects(rule.when)));
    this.#digestSeed = hashText(`unit\0${spec.name}`, 0).h1;
    this.#cookie = new PinCookie(spec.name, cookie, longestNames(spec));
    this.#pages = Pages.of(spec);
    this.#inForce = policyInForce(spec, this.#configuredRules, undefined);
  }

  /** Replaces what the release does beside its configuration, from the next decision on. Undefined: nothing. */
  direct(traffic: ReleaseTraffic | undefined): void {
    this.#inForce = policyInForce(this.spec, this.#configuredRules, traffic);
  }

  /** The weights in force: those of the split, as an operator or a rollout has changed them. Undefined without any. */
  get weights(): Weights | undefined {
    return this.#inForce.weights;
  }

  /** Whether a rollout sets the weights of its two versions: it draws, or has taken the candidate back. */
  get isDirected(): boolean {
    return this.#inForce.rollout !== undefined || this.#inForce.withdrawn !== undefined;
  }

  /** The first valid pin of a request's cookies of this release's name; see `PinCookie.read`. */
  readPin(values: readonly string[], nowMs: number, rejected: (cause: PinRejection) => void): Pin | undefined {
    return this.#cookie.read(values, nowMs, rejected);
  }

  /** As `readPin`, from the bytes of cookies of this release's name. */
  readPinBytes(found: PinBytes, nowMs: number, rejected: (cause: PinRejection) => void): Pin | undefined {
    return this.#cookie.readBytes(found, nowMs, rejected);
  }

  /** Stands for a unit within this release, in every process the same: for logs. */
  digestOf({ hi, lo }: Unit): string {
    return hashToHex(hi, lo, this.#digestSeed);
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
    if (isPreflight(request.facts)) return decidePreflight(this.#inForce, request, trail);
    const unit = unitOfRequest(request, this.spec.sticky.by, this.#pages, trail);
    const pin = this.#currentPin(request.pin, unit, trail);
    if (pin === undefined) return this.#byPolicy(request, unit, pin, trail);
    const followed = pin.version === this.#inForce.withdrawn ? undefined : this.#pages?.followed(pin, request.facts);
    switch (followed) {
      case "asset":
        return this.#byDocument(request, pin, unit, undefined, "assets", trail);
      case "call":
        return this.#callOfPage(request, unit, pin, trail);
      case "prefetch":
        return this.#prefetched(request, unit, pin, trail);
      default:
        return this.#byPolicy(request, unit, pin, trail);
    }
  }

  // A remembered ring takes the place of the rule in the pin: it alone says at which weight the unit was drawn.

  /** By rules, split and default. `pin`: the current one, which under `hold` may replace a draw. */
  #byPolicy(request: DecisionRequest, unit: Unit, pin: Pin | undefined, trail: Trail | undefined): Decision {
    const held = pin && this.#heldVersion(pin, trail);
    const remembered = pin && this.#rememberedRule(pin, request.facts, trail);
    return (
      this.#byRules(request, unit, pin, held, remembered, trail) ??
      this.#bySplit(request, unit, pin, held, trail) ??
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
    if (reason === "propagated" && version === this.#inForce.withdrawn) {
      trail?.push({ stage: reason, outcome: "ignored", detail: `${version} was rolled back` });
      return undefined;
    }
    trail?.push({ stage: reason, outcome: "used", detail: version });
    const unit = trail && unitOfRequest(request, this.spec.sticky.by, this.#pages, trail);
    return { reason, version, rule: undefined, unit, pin: undefined, flipped: false, odds: undefined };
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
   * A call of a page's script, or its frame, is served by the page's version. What it reveals about the requester (a
   * login, a rule that matches) is written to the pin beside that version, for the next document.
   */
  #callOfPage(request: DecisionRequest, unit: Unit, pin: Pin, trail: Trail | undefined): Decision {
    const issuedAtSeconds = Math.floor(request.nowMs / 1000);
    const decided = this.#byPolicy(request, unit, pin, undefined).pin;
    const learned = decided !== undefined && !changesOnlyVersion(pin, decided) ? decided : undefined;
    const next = learned ?? (this.#cookie.isAging(pin, issuedAtSeconds) ? pin : undefined);
    const written = next && { ...next, issuedAtSeconds, version: pin.version };
    const decision = this.#byDocument(request, pin, unit, written, "fetches", trail);
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
      ? this.#byDocument(request, pin, unit, undefined, "prefetched documents", trail)
      : this.#byPolicy(request, unit, pin, trail);
  }

  #byDocument(
    request: DecisionRequest,
    followed: Pin,
    unit: Unit,
    pin: Pin | undefined,
    what: "assets" | "fetches" | "prefetched documents",
    trail: Trail | undefined,
  ): Decision {
    const { version, rule } = followed;
    trail?.push({ stage: "pin", outcome: "followed", detail: `${what} follow their document, which is ${version}` });
    const odds = this.#oddsOf(request, followed, unit);
    return { reason: "pin", version, rule: ruleOf(followed.how, rule), unit, pin, flipped: false, odds };
  }

  /** The odds of a followed version that the rollout drew and would draw again. */
  #oddsOf(request: DecisionRequest, pin: Pin, unit: Unit): number | undefined {
    const { split, rollout } = this.#inForce;
    const isDrawn = pin.how === "split" || pin.how === "ring";
    if (split === undefined || rollout === undefined || !isDrawn || this.#holds()) return undefined;
    const { version, odds } = drawVersion(split, rollout, request, unit, pin, "split", undefined);
    return version === pin.version ? odds : undefined;
  }

  #holds(): boolean {
    return this.spec.sticky.whenWeightsChange === "hold";
  }

  /** Under `hold`, the pinned version, which may replace a draw. */
  #heldVersion(pin: Pin, trail: Trail | undefined): string | undefined {
    if (!this.#holds()) {
      trail?.push({ stage: "pin", outcome: "used", detail: `names ${pin.version}, but draws follow the weights` });
      return undefined;
    }
    if (pin.version === this.#inForce.withdrawn) {
      trail?.push({ stage: "pin", outcome: "void", detail: `${pin.version} was rolled back` });
      return undefined;
    }
    const isKnown = this.#knownVersions.has(pin.version);
    const detail = isKnown ? `holds ${pin.version}` : `${pin.version} is no longer a version of this release`;
    trail?.push({ stage: "pin", outcome: isKnown ? "used" : "void", detail });
    return isKnown ? pin.version : undefined;
  }

  /** The rule that set the pin, if the request carries none of the facts that rules read. */
  #rememberedRule(pin: Pin, facts: Facts, trail: Trail | undefined): Rule | undefined {
    const name = ruleOf(pin.how, pin.rule);
    const rule = name === undefined ? undefined : this.#inForce.rememberable.get(name);
    if (rule === undefined || !this.#carriesNone(facts)) return undefined;
    trail?.push({ stage: "pin", outcome: "remembered", detail: `set by rule ${rule.name}` });
    return rule;
  }

  #byRules(
    request: DecisionRequest,
    unit: Unit,
    pin: Pin | undefined,
    held: string | undefined,
    remembered: Rule | undefined,
    trail: Trail | undefined,
  ): Decision | undefined {
    for (const rule of this.#inForce.rules) {
      if (rule === remembered) return this.#recall(request, unit, pin, rule, held, trail);
      if (remembered !== undefined && rule.asksRequester) {
        trail?.push({
          stage: "rule",
          outcome: "skipped",
          detail: `${rule.name}: the request carries none of the facts that rules read`,
        });
      } else if (this.#matches(rule, request, unit, trail)) {
        return this.#byRule(request, unit, pin, rule, held, trail);
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
    pin: Pin | undefined,
    rule: Rule,
    held: string | undefined,
    trail: Trail | undefined,
  ): Decision {
    if (rule.isWeighted && held !== undefined && this.#keepsHeld(rule, held, "rule", trail)) {
      return this.#byPin(request, unit, held, rule.name, trail);
    }
    const drawn = drawVersion(rule.draw, this.#rolloutOf(rule), request, unit, pin, "rule", trail);
    const { version, odds, ring } = drawn;
    const next = this.#nextPin(request, unit, version, ring === undefined ? "rule" : "ring", ring ?? rule.name, trail);
    return { reason: "rule", version, rule: rule.name, unit, pin: next, flipped: isFlip(request.pin, next), odds };
  }

  /**
   * The pin remembers that the rule matched, not the version: the rule's current `use` applies unless `hold` keeps it.
   */
  #recall(
    request: DecisionRequest,
    unit: Unit,
    pin: Pin | undefined,
    rule: Rule,
    held: string | undefined,
    trail: Trail | undefined,
  ): Decision {
    if (held !== undefined && this.#keepsHeld(rule, held, "rule", trail)) {
      return this.#byPin(request, unit, held, rule.name, trail);
    }
    const drawn = drawVersion(rule.draw, this.#rolloutOf(rule), request, unit, pin, "rule", trail);
    return { ...this.#byPin(request, unit, drawn.version, rule.name, trail), odds: drawn.odds };
  }

  #bySplit(
    request: DecisionRequest,
    unit: Unit,
    pin: Pin | undefined,
    held: string | undefined,
    trail: Trail | undefined,
  ): Decision | undefined {
    const { split, rollout } = this.#inForce;
    if (split === undefined) return undefined;
    if (held !== undefined && this.#keepsHeld({ draw: split, drawnBy: "rollout" }, held, "split", trail)) {
      return this.#byPin(request, unit, held, undefined, trail);
    }
    const { version, odds, ring } = drawVersion(split, rollout, request, unit, pin, "split", trail);
    const next = this.#nextPin(request, unit, version, ring === undefined ? "split" : "ring", ring, trail);
    return { reason: "split", version, rule: undefined, unit, pin: next, flipped: isFlip(request.pin, next), odds };
  }

  #byDefault(request: DecisionRequest, unit: Unit, trail: Trail | undefined): Decision {
    const version = request.defaultVersion;
    trail?.push({ stage: "default", outcome: "used", detail: version });
    const pin = this.#nextPin(request, unit, version, "default", undefined, trail);
    const flipped = isFlip(request.pin, pin);
    return { reason: "default", version, rule: undefined, unit, pin, flipped, odds: undefined };
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
    return { reason: "pin", version, rule, unit, pin, flipped: isFlip(request.pin, pin), odds: undefined };
  }

  /** Users whom a rule sends to the baseline are drawn again only if the rule says so. */
  #rolloutOf({ drawnBy }: Pick<Rule, "drawnBy">): RolloutDraw | undefined {
    return drawnBy === "rollout" ? this.#inForce.rollout : undefined;
  }

  /** Whether the held version replaces this draw; under `evict` only if it has weight in it. */
  #keepsHeld(
    by: Pick<Rule, "draw" | "drawnBy">,
    held: string,
    stage: "rule" | "split",
    trail: Trail | undefined,
  ): boolean {
    const drains = this.spec.sticky.onWeightZero === "drain";
    const hasWeight = givesVersion(by.draw, this.#rolloutOf(by), held);
    const why = hasWeight ? "has weight" : drains ? "has no weight and drains" : "has no weight and is evicted";
    const keeps = drains || hasWeight;
    trail?.push({ stage, outcome: keeps ? "kept" : "void", detail: `the pinned version ${held} ${why}` });
    return keeps;
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

/** Of the names that a pin may hold: a version, and a rule or a ring. */
function longestNames({ versions, rules }: ReleaseSpec): number {
  const longest = (names: readonly string[]) => Math.max(0, ...names.map((name) => name.length));
  return longest(versions) + Math.max(ringLength, longest(rules.map(({ name }) => name)));
}

/** Of what names a ring in a pin. */
const ringLength = 8;

/** The name of the rule that a pin remembers. */
function ruleOf(how: Pin["how"], rule: string | undefined): string | undefined {
  return how === "rule" ? rule : undefined;
}
