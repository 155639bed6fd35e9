import type { CheckSpec, NotifySpec, RingSpec, RolloutSpec, StepSpec } from "../../decide/rollout-spec.ts";
import { describeSpec, type ServiceSpec } from "../../upstream/service-spec.ts";
import type { CompileContext, KnownAttributes } from "../compile-context.ts";
import { truthOf } from "../condition-truth.ts";
import type { PairedServices } from "../release-services.ts";
import { ringKey } from "../ring-key.ts";
import { unreadable } from "../scalars.ts";
import type { ParseContext } from "../schema-kit/schema.ts";
import { quote, type Span } from "../schema-kit/tree.ts";
import { compileCondition } from "./condition.ts";
import type { CheckConfig, RolloutConfig, StepConfig } from "./rollout.ts";

/** What a rollout refers to outside of itself. */
export interface RolloutScope {
  readonly release: string;
  readonly pairing: PairedServices;
  /** All services of the configuration. */
  readonly services: readonly ServiceSpec[];
  readonly attributes: KnownAttributes;
  /** Checks the name of a version and returns it. */
  readonly useVersion: (name: string, span: Span) => string;
}

export function compileRollout(rollout: RolloutConfig, scope: RolloutScope, context: CompileContext): RolloutSpec {
  const { parsing } = context;
  const { id, start, command, falseAlarm, onFail, drift } = rollout;
  const { baseline, candidate } = compileVersions(rollout, scope, parsing);
  const steps = compileSteps(rollout, scope.attributes, context);
  checkSteps(rollout, steps, parsing);
  checkCaps(rollout, parsing);
  return {
    id,
    baseline,
    candidate,
    start,
    command,
    steps,
    afterLastStep: rollout.then,
    checks: compileChecks(rollout, parsing),
    failures: new Set(rollout.failures.flatMap(statusesIn)),
    falseAlarm,
    onFail,
    drift,
    caps: {
      users: rollout.caps?.users,
      failures: rollout.caps?.failures,
      requestsPerSecond: rollout.caps?.requestsPerSecond,
    },
    notify: rollout.notify.map((one) => compileNotify(one, context)),
    candidateEndpoints: endpointsOf(candidate, scope),
  };
}

function compileNotify(config: RolloutConfig["notify"][number], context: CompileContext): NotifySpec {
  const { url, secretFile } = config;
  if (secretFile === undefined) return { url, secrets: [] };
  return { url, secrets: context.secrets(secretFile, context.parsing.spanOf(config, "secretFile")) };
}

/** Without 499, which says that the client gave up. */
function statusesIn({ from, to }: RolloutConfig["failures"][number]): number[] {
  return Array.from({ length: to - from + 1 }, (_, at) => from + at).filter((status) => status !== 499);
}

function compileVersions(
  rollout: RolloutConfig,
  scope: RolloutScope,
  parsing: ParseContext,
): Pick<RolloutSpec, "baseline" | "candidate"> {
  const { candidate } = rollout;
  const span = parsing.spanOf(rollout, "candidate");
  if (candidate !== unreadable) scope.useVersion(candidate, span);
  const baseline =
    rollout.baseline === undefined
      ? defaultBaseline(rollout, scope, parsing)
      : scope.useVersion(rollout.baseline, parsing.spanOf(rollout, "baseline"));
  if (baseline === candidate && candidate !== unreadable) {
    const isDefault = rollout.baseline === undefined;
    const why = isDefault ? `${quote(candidate)} is the default version, which is the baseline` : "it is the baseline";
    const suggestion = isDefault ? "set baseline, or another candidate" : undefined;
    parsing.error(span, "conflicting-keys", `the candidate must be another version: ${why}`, suggestion);
  } else if (baseline !== unreadable) warnOfDefaults(baseline, candidate, scope, span, parsing);
  return { baseline, candidate };
}

/** A rollout does not control which version a service falls back to. */
function warnOfDefaults(baseline: string, candidate: string, scope: RolloutScope, span: Span, parsing: ParseContext) {
  for (const { name, defaultVersion } of pairedSpecs(scope)) {
    if (defaultVersion !== candidate) continue;
    const when = `which serves it where ${baseline} cannot be reached, also after a rollback`;
    const message = `${candidate} is the default version of service ${name}, ${when}`;
    parsing.warn(span, "risky", message, `make ${baseline} its default`);
  }
}

/** `unreadable` if there is none; the problem is then reported. */
function defaultBaseline(rollout: RolloutConfig, scope: RolloutScope, parsing: ParseContext): string {
  if (parsing.has(rollout, "baseline")) return unreadable;
  const paired = pairedSpecs(scope);
  const [first, ...others] = paired;
  const report = (message: string): string => {
    parsing.error(parsing.spanOf(rollout), "missing-key", message, "set baseline to the version that users have now");
    return unreadable;
  };
  if (first === undefined) {
    return report(`the rollout needs a baseline: no route pairs release ${scope.release} with a known service`);
  }
  const other = others.find((service) => service.defaultVersion !== first.defaultVersion);
  if (other === undefined) return first.defaultVersion;
  const both = [first, other].map(({ name, defaultVersion }) => `${name}: ${defaultVersion}`).join(", ");
  return report(`the rollout needs a baseline: the default versions of its services differ (${both})`);
}

function pairedSpecs({ pairing, services }: RolloutScope): readonly ServiceSpec[] {
  return pairing.paired.flatMap(({ name }) => services.find((service) => service.name === name) ?? []);
}

function endpointsOf(candidate: string, scope: RolloutScope): readonly string[] {
  return pairedSpecs(scope)
    .flatMap(({ name, versions }) =>
      (versions.find((version) => version.name === candidate)?.endpoints ?? []).map(
        (endpoint) => `${name} ${describeSpec(endpoint)}`,
      ),
    )
    .sort();
}

export function compileSteps(
  { steps }: RolloutConfig,
  attributes: KnownAttributes,
  context: CompileContext,
): readonly StepSpec[] {
  return steps.map((step) => compileStep(step, attributes, context));
}

function compileStep(step: StepConfig, attributes: KnownAttributes, context: CompileContext): StepSpec {
  if (step === "pause") return { kind: "pause" };
  return {
    kind: "weight",
    weight: step.weight,
    holdMs: step.hold,
    atLeastUsers: step.atLeast?.users ?? 0,
    ring: compileRing(step, attributes, context),
  };
}

function compileRing(
  step: Exclude<StepConfig, "pause">,
  attributes: KnownAttributes,
  context: CompileContext,
): RingSpec | undefined {
  if (step.when === undefined) return undefined;
  const { parsing } = context;
  const failedBefore = parsing.problems.errorCount;
  const when = compileCondition(step.when, attributes, context);
  const key = ringKey(when);
  // A condition that lost an invalid part would look wider than it is.
  if (parsing.problems.errorCount > failedBefore) return { key, when };
  const place = parsing.keySpanOf(step, "when");
  const truth = truthOf(when, attributes.specs, key);
  if (truth === "always") {
    parsing.warn(
      place,
      "risky",
      "every request is in this ring",
      "leave out when: the weight then applies to all users",
    );
  } else if (truth !== "depends") {
    const message = `no request is in this ring: ${truth.never}`;
    if (step.atLeast === undefined) parsing.warn(place, "unreachable", message);
    else parsing.error(place, "unreachable", `${message}, so the step waits for users for ever`);
  }
  return { key, when };
}

/** Nobody goes back to the baseline but by a rollback, so no weight goes down. */
function checkSteps(rollout: RolloutConfig, steps: readonly StepSpec[], parsing: ParseContext): void {
  const { steps: configs } = rollout;
  if (steps.length > 0 && !parsing.lacksParts(configs) && steps.every(({ kind }) => kind === "pause")) {
    const message = "these steps give the candidate no users: all of them are pauses";
    parsing.error(parsing.spanOf(rollout, "steps"), "bad-value", message, "add a step such as { weight: 1, hold: 5m }");
  }
  const reached = new Map<string | undefined, number>();
  for (const [index, step] of steps.entries()) {
    const config = configs[index];
    if (step.kind === "pause" || config === undefined || config === "pause") continue;
    const key = step.ring?.key;
    const before = reached.get(key) ?? 0;
    if (step.weight < before) {
      const where = key === undefined ? "" : " of this ring";
      const message = `the weight${where} goes down from ${before} to ${step.weight}: users would go back to the baseline`;
      const suggestion = `write at least ${before}; to take users back, set command: rollback`;
      parsing.error(parsing.spanOf(config, "weight"), "bad-weights", message, suggestion);
    }
    reached.set(key, Math.max(before, step.weight));
  }
}

/** A cap that is reached is a failure, so a step that needs as many users never ends. */
function checkCaps({ caps, steps }: RolloutConfig, parsing: ParseContext): void {
  if (caps?.users === undefined) return;
  const needed = Math.max(0, ...steps.map((step) => (step === "pause" ? 0 : (step.atLeast?.users ?? 0))));
  if (caps.users > needed) return;
  const message = `the cap of ${caps.users} users is reached before the step that needs ${needed} users ends`;
  parsing.error(parsing.spanOf(caps, "users"), "conflicting-keys", message, `set it above ${needed}`);
}

/** The built-in checks: two of one name could not be told apart, and would be one series of metrics twice. */
const builtInChecks = ["drift", "catastrophe"];

function compileChecks(rollout: RolloutConfig, parsing: ParseContext): readonly CheckSpec[] {
  const seen = new Set<string>(builtInChecks);
  return rollout.checks.flatMap((config) => {
    const { name } = config;
    if (seen.has(name) && name !== unreadable) {
      const whose = builtInChecks.includes(name) ? "a built-in check" : "another check of this rollout";
      const message = `${whose} is already named ${quote(name)}`;
      parsing.error(parsing.spanOf(config, "name"), "duplicate-name", message);
    }
    seen.add(name);
    return compileCheck(config, rollout, parsing) ?? [];
  });
}

/** The keys of each kind of check, without the key that names the kind. */
const checkKeys = {
  metric: ["over", "atMost", "margin"],
  prometheus: ["every", "failures"],
  webhook: ["every", "beforeStep"],
} as const satisfies Record<string, readonly (keyof CheckConfig)[]>;

function compileCheck(config: CheckConfig, rollout: RolloutConfig, parsing: ParseContext): CheckSpec | undefined {
  const { name, metric, prometheus, webhook, failures = 3, beforeStep } = config;
  const kind = metric !== undefined ? "metric" : prometheus !== undefined ? "prometheus" : "webhook";
  for (const key of new Set(Object.values(checkKeys).flat())) {
    if (!parsing.has(config, key) || checkKeys[kind].some((known) => known === key)) continue;
    const message = `${quote(key)} has no meaning for a check with ${kind}`;
    parsing.error(parsing.keySpanOf(config, key), "conflicting-keys", message);
  }
  if (metric !== undefined) return compileAnswerCheck({ ...config, metric }, config, parsing);
  if (prometheus !== undefined) {
    const { url, query, atLeast, atMost } = prometheus;
    if (atLeast !== undefined && atMost !== undefined && atLeast > atMost) {
      const message = `no value is at least ${atLeast} and at most ${atMost}`;
      parsing.error(parsing.spanOf(prometheus, "atMost"), "conflicting-keys", message);
    }
    return { kind: "prometheus", name, url, query, atLeast, atMost, everyMs: config.every ?? 60_000, failures };
  }
  if (webhook === undefined) return undefined;
  const { steps } = rollout;
  if (beforeStep !== undefined && beforeStep > steps.length && steps.length > 0 && !parsing.lacksParts(steps)) {
    const message = `there is no step ${beforeStep}: the rollout has ${steps.length}`;
    parsing.error(parsing.spanOf(config, "beforeStep"), "bad-value", message);
  }
  return { kind: "webhook", name, url: webhook.url, beforeStep, everyMs: config.every ?? 10_000 };
}

type AnswerCheck = Pick<CheckConfig, "name" | "over" | "atMost" | "margin"> & { readonly metric: "errors" | "slow" };

/** `written` is the check as it was read, for places. */
function compileAnswerCheck(
  { name, metric, over, atMost, margin }: AnswerCheck,
  written: CheckConfig,
  parsing: ParseContext,
): CheckSpec | undefined {
  if (metric === "slow" && !parsing.has(written, "over")) {
    const message = "metric: slow needs over, the duration above which an answer is slow";
    parsing.error(parsing.spanOf(written, "metric"), "missing-key", message, "add over: 800ms, or over: p95");
  }
  if (metric === "errors" && over !== undefined) {
    const message = "over is for metric: slow; whether an answer failed has nothing to do with its duration";
    parsing.error(parsing.keySpanOf(written, "over"), "conflicting-keys", message);
  }
  if (atMost !== undefined && margin !== undefined) {
    const message = "atMost and margin are two questions";
    parsing.error(parsing.keySpanOf(written, "margin"), "conflicting-keys", message, "write a check for each");
  }
  if (metric === "slow" && over === undefined) return undefined;
  const bad =
    metric === "slow" && over !== undefined ? { metric, over } : { metric: "errors" as const, over: undefined };
  if (atMost !== undefined) return { ...bad, kind: "at-most", name, share: atMost };
  return margin === undefined ? { ...bad, kind: "compare", name } : { ...bad, kind: "margin", name, share: margin };
}
