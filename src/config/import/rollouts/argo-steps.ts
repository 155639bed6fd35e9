import { type Draft, lossOf, type YamlMap } from "../draft.ts";
import { type Manifest, titleOf } from "../manifests.ts";
import type { SourceObject } from "../source-object.ts";
import type { ArgoAnalyses } from "./argo-analysis.ts";
import { millisecondsOf, PlanSteps } from "./plan-steps.ts";
import { headerTest, isProblem, joinedBy } from "./ring-condition.ts";

export interface ArgoSteps {
  readonly steps: PlanSteps;
  readonly mirror: YamlMap | undefined;
}

/** What the steps of one Rollout refer to. */
interface StepScope {
  readonly rollout: Manifest;
  readonly analyses: ArgoAnalyses;
  readonly maxWeight: number;
  /** Whether all entries of a header route have to match: Istio alone makes a match of each. */
  readonly headersMatch: "any" | "all";
  readonly draft: Draft;
}

/** Reads `strategy.canary.steps`. A step without an equivalent becomes a pause, so that a person decides. */
export function readSteps(canary: SourceObject, rings: readonly YamlMap[], scope: StepScope): ArgoSteps {
  const { rollout, draft } = scope;
  const where = titleOf(rollout);
  const steps = new PlanSteps();
  for (const ring of rings) steps.ring(ring);
  let mirror: YamlMap | undefined;
  const written = canary.objects("steps");
  for (const step of written) mirror = readStep(step, steps, scope) ?? mirror;
  if (written.length === 0) {
    draft.note(where, "it has no steps: one step gives everyone the candidate, as a plan needs one");
    steps.setWeight(100);
  }
  if (steps.isHasty) {
    const what =
      "a weight without a pause ends at once here, where Argo waits until its Pods are ready: set its `hold`";
    draft.noteLostProtection(where, what);
  }
  if (steps.isLowered) {
    const what =
      "a later step has a lower weight, and weights of a plan only rise: earlier steps have the lower one too";
    const why = steps.isTried ? "" : "; so nobody tries the candidate before everyone gets it: add steps between";
    draft.note(where, `${what}${why}`, lossOf(!steps.isTried));
  }
  return { steps, mirror };
}

/** Returns the mirror that the step sets. */
function readStep(step: SourceObject, steps: PlanSteps, scope: StepScope): YamlMap | undefined {
  const { draft, maxWeight, rollout } = scope;
  const where = titleOf(rollout);
  const weight = step.number("setWeight");
  if (weight !== undefined) steps.setWeight((weight / maxWeight) * 100);
  if (step.has("pause")) pause(step, steps, where, draft);
  if (step.has("analysis")) analysisStep(step, steps, scope);
  if (step.has("setHeaderRoute")) headerRoute(step.object("setHeaderRoute"), steps, scope);
  for (const key of ["experiment", "plugin"].filter((one) => step.has(one))) {
    draft.noteLostProtection(
      where,
      `${step.path}.${key}: no equivalent; the plan pauses there, until a person resumes it`,
    );
    step.dismiss(key);
    steps.pause();
  }
  for (const key of ["setCanaryScale", "replicaProgressThreshold"].filter((one) => step.has(one))) {
    draft.note(where, `${step.path}.${key}: no equivalent; Perch does not scale Pods`);
    step.dismiss(key);
  }
  return step.has("setMirrorRoute") ? mirrorRoute(step.object("setMirrorRoute"), where, draft) : undefined;
}

function pause(step: SourceObject, steps: PlanSteps, where: string, draft: Draft): void {
  const written = step.object("pause");
  const text = written.text("duration");
  if (!step.has("pause") || text === "") {
    step.dismiss("pause");
    steps.pause();
    return;
  }
  const ms = /^\d+$/.test(text) ? Number(text) * 1_000 : millisecondsOf(text);
  if (ms !== undefined) {
    steps.hold(ms);
    return;
  }
  draft.note(where, `${written.path}.duration: ${text} is no duration, so the plan waits for a person`);
  steps.pause();
}

function analysisStep(step: SourceObject, steps: PlanSteps, { analyses, rollout, draft }: StepScope): void {
  const { isComplete, takesMs } = analyses.read(step.object("analysis"));
  noteWholePlan(titleOf(rollout), draft);
  if (isComplete && takesMs !== undefined) {
    steps.hold(takesMs);
    return;
  }
  const why = isComplete ? "it measures without an end" : "some of its metrics are not checked";
  draft.note(titleOf(rollout), `${step.path}.analysis: ${why}, so the plan pauses there, until a person resumes it`);
  steps.pause();
}

function noteWholePlan(where: string, draft: Draft): void {
  draft.note(where, "the metrics of analyses in steps are checks of the whole plan here: they are asked in every step");
}

/** Without an entry the route is removed. */
function headerRoute(route: SourceObject, steps: PlanSteps, { rollout, headersMatch, draft }: StepScope): void {
  const where = titleOf(rollout);
  const name = route.text("name");
  const matches = route.objects("match");
  if (matches.length === 0) {
    draft.note(where, `${route.path}: the header route ${name} ends there; here its users keep the candidate`);
    return;
  }
  const conditions = matches.flatMap((match): YamlMap[] => {
    const condition = headerTest(match.text("headerName"), match.object("headerValue"));
    if (!isProblem(condition)) return [condition];
    const whole = headersMatch === "all" && matches.length > 1 ? ", with the tests that have to hold beside it" : "";
    draft.note(where, `${match.path} is left out${whole}: ${condition.problem}`);
    match.dismiss();
    return [];
  });
  // Without one of the tests that all have to hold, more users would get the candidate.
  const isWidened = headersMatch === "all" && conditions.length < matches.length;
  const when = isWidened ? undefined : joinedBy(headersMatch, conditions);
  if (when !== undefined) steps.ring(when);
}

/** A release mirrors all of its requests, so a mirror of some paths or headers is left out. */
function mirrorRoute(route: SourceObject, where: string, draft: Draft): YamlMap | undefined {
  const percent = route.number("percentage") ?? 100;
  const matches = route.objects("match");
  const methods = matches.map((match) => match.object("method").text("exact"));
  const isWhole = matches.every((match) => {
    const path = match.object("path").text("prefix");
    return match.object("headers").keys().length === 0 && (path === "/" || !match.has("path"));
  });
  route.dismiss();
  if (matches.length === 0) {
    draft.note(where, `${route.path}: the mirror ends there; here it lasts as long as \`mirror\` is in the file`);
    return undefined;
  }
  const known = methods.filter((method) => /^[A-Z]+$/.test(method));
  if (!isWhole || known.length !== methods.filter((method) => method !== "").length || percent > 100) {
    draft.note(where, `${route.path}: no equivalent, as a release mirrors requests of every path: left out`);
    return undefined;
  }
  const ofAll = known.length < methods.length;
  const what = ofAll ? ", and only requests with safe methods (add `methods` for others)" : "";
  draft.note(where, `${route.path}: Perch mirrors as long as \`mirror\` is in the file, not from this step on${what}`);
  return ofAll ? { percent } : { percent, methods: [...new Set(known)] };
}
