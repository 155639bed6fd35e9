import type { Draft, YamlMap } from "../draft.ts";
import { type Manifest, titleOf } from "../manifests.ts";
import { type Advice, noteUnread } from "../notes.ts";
import type { SourceObject } from "../source-object.ts";
import { stickySessions } from "./flagger-affinity.ts";
import { FlaggerMetrics } from "./flagger-metrics.ts";
import { flaggerRoutes, namesOf, traefikServiceOf } from "./flagger-routes.ts";
import { readWebhooks } from "./flagger-webhooks.ts";
import { type ImportedPlan, PlanChecks } from "./plan.ts";
import { millisecondsOf, PlanSteps } from "./plan-steps.ts";
import { conditionOf, isProblem, joinedBy } from "./ring-condition.ts";

/** The plans of all Canaries of Flagger. */
export function flaggerPlans(manifests: readonly Manifest[], draft: Draft): readonly ImportedPlan[] {
  const ofFlagger = manifests.filter(({ group }) => group === "flagger.app");
  const templates = ofFlagger.filter(({ kind }) => kind === "MetricTemplate");
  const plans = ofFlagger
    .filter(({ kind }) => kind === "Canary")
    .map((canary) => {
      const plan = planOf(canary, templates, draft);
      noteUnread(canary, advice, draft);
      return plan;
    });
  for (const template of templates) noteUnread(template, advice, draft);
  return plans;
}

const advice: Readonly<Record<string, Advice>> = {
  alerts: { text: "not imported: `rollout.notify` posts each transition, as JSON of Perch" },
  stepWeightPromotion: {
    text: "no equivalent: when the last step has ended, everyone gets the candidate at once; add steps for less",
  },
  upstreamRef: { text: "not imported" },
  routeRef: { text: "not imported: set the hosts and paths of its route by hand" },
  sourceLabels: { text: "no equivalent" },
};

/** What says how Pods are watched and scaled, and how Services are labelled. */
const ofPods = [
  "targetRef",
  "autoscalerRef",
  "progressDeadlineSeconds",
  "provider",
  "metricsServer",
  "revertOnDeletion",
] as const;

const defaultIntervalMs = 60_000;
const shortestIntervalMs = 10_000;

function planOf(canary: Manifest, templates: readonly Manifest[], draft: Draft): ImportedPlan {
  const { spec, namespace } = canary;
  const where = titleOf(canary);
  const names = namesOf(canary);
  const analysis = spec.has("analysis") ? spec.object("analysis") : spec.object("canaryAnalysis");
  const intervalMs = millisecondsOf(analysis.text("interval")) || defaultIntervalMs;
  const threshold = Math.max(analysis.number("threshold") ?? 1, 1);
  const ingress = spec.object("ingressRef").text("name");
  spec.object("ingressRef").dismiss();
  const checks = new PlanChecks();
  const metrics = new FlaggerMetrics({ canary, templates, checks, threshold, draft });
  const isNginx = ingress !== "" || spec.peek("provider") === "nginx";
  const isComplete = metrics.read(analysis);
  analysis.dismiss("primaryReadyThreshold", "canaryReadyThreshold");
  const steps = readStrategy(analysis, {
    where,
    everyMs: Math.max(intervalMs, shortestIntervalMs),
    isComplete,
    judgesUsers: checks.judgesUsers,
    isNginx,
    isSkipped: spec.flag("skipAnalysis") === true || analysis.keys().length === 0,
    draft,
  });
  if (spec.flag("suspend") === true) draft.note(where, "suspend: the plan waits for its start anyway");
  readWebhooks(analysis, steps, checks, where, draft);
  if (steps.isLowered)
    draft.note(where, "stepWeights: weights of a plan only rise, so earlier steps have the lower one");
  const mirror = mirrorOf(analysis, where, draft);
  const sticky = stickySessions(analysis.object("sessionAffinity"), where, draft);
  const ownRoutes = flaggerRoutes(canary, draft);
  spec.dismiss(...ofPods);
  return {
    manifest: canary,
    baseline: [`${names.primary}.${namespace}`, `${names.apex}.${namespace}`],
    candidate: `${names.candidate}.${namespace}`,
    routers: ingress === "" ? [] : [{ title: `Ingress ${namespace}/${ingress}`, routes: [] }],
    isWeighted: false,
    steps: steps.written(checks.judgesUsers ? 1 : 0),
    checks: checks.written(),
    kept: [],
    sticky,
    mirror,
    ownRoutes,
    ownTargets: [traefikServiceOf(canary)],
  };
}

interface StrategyScope {
  readonly where: string;
  readonly everyMs: number;
  /** Whether all metrics became checks. */
  readonly isComplete: boolean;
  /** Whether checks need users of the candidate. */
  readonly judgesUsers: boolean;
  readonly isNginx: boolean;
  readonly isSkipped: boolean;
  readonly draft: Draft;
}

function readStrategy(analysis: SourceObject, scope: StrategyScope): PlanSteps {
  const { where, everyMs, isSkipped, draft } = scope;
  const iterations = analysis.number("iterations") ?? 0;
  const steps = new PlanSteps();
  if (isSkipped) {
    draft.note(
      where,
      "Flagger promotes without an analysis: the plan has one step, which gives everyone the candidate",
    );
    analysis.dismiss("maxWeight", "stepWeight", "stepWeights", "stepWeightPromotion", "match");
    steps.setWeight(100);
    return steps;
  }
  if (iterations > 0) {
    analysis.dismiss("maxWeight", "stepWeight", "stepWeights", "stepWeightPromotion");
    if (analysis.objects("match").length > 0) abTest(analysis, [{ percent: 100, times: iterations }], steps, scope);
    else blueGreen(iterations, steps, scope);
    return steps;
  }
  const weights = weightsOf(analysis);
  if (analysis.objects("match").length > 0) {
    abTest(
      analysis,
      weights.map((percent) => ({ percent, times: 1 })),
      steps,
      scope,
    );
    return steps;
  }
  for (const weight of weights) {
    steps.setWeight(weight);
    steps.hold(everyMs);
  }
  if ((weights.at(-1) ?? 100) < 100) {
    draft.note(where, "after the last step everyone gets the candidate at once; Flagger replaced the primary's Pods");
  }
  if (steps.count === 0) {
    draft.note(where, "it has neither stepWeight, stepWeights nor iterations: the plan waits for a person");
    steps.setWeight(0);
    steps.pause();
  }
  return steps;
}

/** Flagger raises the weight until it is at least the maximum, which is 100 where it is not set. */
function weightsOf(analysis: SourceObject): readonly number[] {
  const stepWeight = analysis.number("stepWeight") ?? 0;
  const listed = analysis.texts("stepWeights").map(Number).filter(Number.isFinite);
  const last = listed.at(-1);
  const maximum = last ?? (analysis.number("maxWeight") || 100);
  analysis.dismiss("maxWeight");
  if (stepWeight <= 0) return listed;
  const weights: number[] = [];
  for (let weight = stepWeight; ; weight += stepWeight) {
    weights.push(Math.min(weight, 100));
    if (weight >= Math.min(maximum, 100)) return weights;
  }
}

/** A share of those who match, for so many intervals. */
interface MatchStep {
  readonly percent: number;
  readonly times: number;
}

/** Requests that match get the candidate, as a ring; at the end everyone does. */
function abTest(
  analysis: SourceObject,
  matchSteps: readonly MatchStep[],
  steps: PlanSteps,
  scope: StrategyScope,
): void {
  const { where, everyMs, isNginx, judgesUsers, draft } = scope;
  const conditions = analysis.objects("match").flatMap((match): YamlMap[] => {
    const condition = (isNginx ? nginxCookie(match) : undefined) ?? conditionOf(match);
    if (!isProblem(condition)) {
      if (condition["cookie"] !== undefined && !isNginx) {
        draft.note(where, `${match.path}: its pattern is for one cookie, which is tested here wherever it stands`);
      }
      return [condition];
    }
    draft.note(where, `${match.path} is left out: ${condition.problem}`);
    match.dismiss();
    return [];
  });
  const when = joinedBy("any", conditions);
  if (when === undefined) {
    draft.noteLostProtection(where, "no match of its A/B test has an equivalent: the plan waits for a person instead");
    steps.setWeight(0);
    steps.pause();
    return;
  }
  for (const { percent, times } of matchSteps) {
    steps.ring(when, percent);
    steps.hold(everyMs * times);
  }
  if (judgesUsers || matchSteps.some(({ percent }) => percent < 100)) return;
  draft.note(
    where,
    "all who match get the candidate, so their errors are compared with nobody's: add a check with atMost",
  );
}

/** With ingress-nginx, a cookie's name stands where its value would, and its value is `always`. */
function nginxCookie(match: SourceObject): YamlMap | undefined {
  const cookie = match.object("headers").object("cookie").text("exact");
  return cookie === "" || match.object("headers").keys().length > 1
    ? undefined
    : { cookie: { [cookie]: { equals: "always" } } };
}

/** The candidate gets no users until the switch, so what judges users has nothing to judge. */
function blueGreen(iterations: number, steps: PlanSteps, scope: StrategyScope): void {
  const { where, everyMs, isComplete, judgesUsers, draft } = scope;
  steps.setWeight(0);
  steps.hold(everyMs * iterations);
  if (!judgesUsers && isComplete) return;
  const what =
    "iterations without match: the candidate has no users before the switch, and Perch judges no answers to load tests or mirrored requests, so the plan pauses before it";
  draft.note(where, what);
  steps.pause();
}

/** Only safe methods, since Perch mirrors for longer than Flagger. */
function mirrorOf(analysis: SourceObject, where: string, draft: Draft): YamlMap | undefined {
  const percent = analysis.number("mirrorWeight") || 100;
  if (analysis.flag("mirror") !== true) return undefined;
  const how = "requests with safe methods (add `methods` for others), as long as `mirror` is in the file";
  draft.note(where, `analysis.mirror: Perch mirrors ${how}, and does not judge the answers`);
  return { percent: Math.min(percent, 100) };
}
