import type { Decision, DecisionRequest, Trail } from "./decision.ts";
import type { Draw } from "./draw.ts";
import type { AttributeValue, Facts } from "./facts.ts";
import type { Address } from "./ip-address.ts";
import type { PatternMeter } from "./pattern.ts";
import type { PolicyInForce } from "./policy-in-force.ts";
import type { RolloutDraw } from "./rollout-draw.ts";
import type { Unit } from "./unit.ts";

/**
 * Whether a request is a CORS preflight (Fetch §3.3.2): a browser asks whether it may send a script's request. It has
 * neither that request's headers nor ever a cookie.
 */
export function isPreflight(facts: Pick<Facts, "method" | "header">): boolean {
  return (
    facts.method === "OPTIONS" &&
    facts.header("origin") !== undefined &&
    facts.header("access-control-request-method") !== undefined
  );
}

/**
 * Decides a preflight. It has no user to draw, so it gets the version that most of the announced requests will get: by
 * the first rule whose condition its own facts decide, else by the split. Of a draw the largest share counts, and the
 * service's default among equal ones.
 */
export function decidePreflight(
  { rules, split, rollout }: Pick<PolicyInForce, "rules" | "split" | "rollout">,
  { facts, defaultVersion, nowMs }: Pick<DecisionRequest, "facts" | "defaultVersion" | "nowMs">,
  trail: Trail | undefined,
): Decision {
  trail?.push({ stage: "preflight", outcome: "used", detail: "a CORS preflight has no user: nothing is drawn" });
  const announced = new AnnouncedFacts(facts);
  for (const { name, check, draw, drawnBy, isDecidedBy } of rules) {
    if (!isDecidedBy(announced)) {
      trail?.push({
        stage: "rule",
        outcome: "skipped",
        detail: `${name}: reads something that a preflight does not send`,
      });
      continue;
    }
    const matches = check.holds(announced, nowMs, nobody);
    const why = trail && check.why(announced, nowMs, nobody);
    trail?.push({ stage: "rule", outcome: matches ? "matched" : "not-matched", detail: `${name}: ${why}` });
    if (matches) return assigned(largest(draw, drawnBy === "rollout" ? rollout : undefined, defaultVersion), name);
  }
  const version = split === undefined ? defaultVersion : largest(split, rollout, defaultVersion);
  trail?.push({ stage: split === undefined ? "default" : "split", outcome: "used", detail: version });
  return assigned(version, undefined);
}

function largest(draw: Draw, rollout: RolloutDraw | undefined, preferred: string): string {
  const version = draw.largest(preferred);
  const { candidate, baseline } = rollout ?? {};
  return version === baseline && candidate !== undefined && (rollout?.weightIn(undefined) ?? 0) > 50
    ? candidate
    : version;
}

/** For conditions that do not read the unit. */
const nobody: Unit = { source: "random", hi: 0, lo: 0 };

function assigned(version: string, rule: string | undefined): Decision {
  return { reason: "preflight", version, rule, unit: undefined, pin: undefined, flipped: false, odds: undefined };
}

/** The facts of the request that a preflight announces, as far as they are known: those of the preflight, and the method. */
class AnnouncedFacts implements Facts {
  readonly #preflight: Facts;

  constructor(preflight: Facts) {
    this.#preflight = preflight;
  }

  get method(): string {
    return this.#preflight.header("access-control-request-method") ?? "";
  }

  get patterns(): PatternMeter {
    return this.#preflight.patterns;
  }

  patternSkipped(): void {
    this.#preflight.patternSkipped();
  }

  attribute(index: number): AttributeValue | undefined {
    return this.#preflight.attribute(index);
  }

  header(name: string): string | undefined {
    return this.#preflight.header(name);
  }

  cookie(name: string): string | undefined {
    return this.#preflight.cookie(name);
  }

  query(name: string): string | undefined {
    return this.#preflight.query(name);
  }

  get host(): string {
    return this.#preflight.host;
  }

  get path(): string {
    return this.#preflight.path;
  }

  get clientAddress(): Address | undefined {
    return this.#preflight.clientAddress;
  }
}
