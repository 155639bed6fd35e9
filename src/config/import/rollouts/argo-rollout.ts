import { compilePattern } from "../../pattern.ts";
import { cookieName, headerName } from "../../scalars.ts";
import { accepts } from "../accepts.ts";
import type { Draft, YamlMap } from "../draft.ts";
import { type Manifest, titleOf } from "../manifests.ts";
import { type Advice, noteUnread } from "../notes.ts";
import { isMap, SourceObject } from "../source-object.ts";
import { ArgoAnalyses } from "./argo-analysis.ts";
import { argoRouters, isOfTraefik, subsetsOf } from "./argo-routers.ts";
import { readSteps } from "./argo-steps.ts";
import { type ImportedPlan, type KeptRule, PlanChecks } from "./plan.ts";
import { PlanSteps } from "./plan-steps.ts";

/** The plans of all Rollouts of Argo. */
export function argoPlans(manifests: readonly Manifest[], draft: Draft): readonly ImportedPlan[] {
  const ofArgo = manifests.filter(({ group }) => group === "argoproj.io");
  const templates = ofArgo.filter(({ kind }) => kind === "AnalysisTemplate" || kind === "ClusterAnalysisTemplate");
  const rollouts = ofArgo.filter(({ kind }) => kind === "Rollout");
  const services = manifests.filter(({ kind, group }) => kind === "Service" && group === "");
  const plans = rollouts.flatMap((rollout) => {
    const plan = planOf(rollout, { templates, services }, draft);
    noteUnread(rollout, advice, draft);
    return plan ?? [];
  });
  for (const template of templates) noteUnread(template, advice, draft);
  return plans;
}

const advice: Readonly<Record<string, Advice>> = {
  progressDeadlineAbort: {
    text: "no equivalent: Pods that do not become ready roll nothing back here, and are served by the baseline",
    protects: true,
  },
  rollbackWindow: { text: "no equivalent: going back to an earlier version takes the same steps" },
  paused: { text: "not imported: the plan waits for its start anyway" },
  authentication: { text: "no equivalent", protects: true },
  args: { text: "no metric of the plan uses it" },
  metrics: { text: "no Rollout of the input uses it" },
};

/** What says how Pods are made and replaced, which Perch leaves to Deployments. */
const ofPods = [
  "replicas",
  "selector",
  "template",
  "workloadRef",
  "resourcePlugin",
  "minReadySeconds",
  "revisionHistoryLimit",
  "progressDeadlineSeconds",
  "restartAt",
  "analysis",
] as const;
const ofCanaryPods = [
  "maxSurge",
  "maxUnavailable",
  "antiAffinity",
  "canaryMetadata",
  "stableMetadata",
  "scaleDownDelaySeconds",
  "scaleDownDelayRevisionLimit",
  "abortScaleDownDelaySeconds",
  "minPodsPerReplicaSet",
  "dynamicStableScale",
] as const;
const ofPreviewPods = [
  "antiAffinity",
  "activeMetadata",
  "previewMetadata",
  "previewReplicaCount",
  "scaleDownDelayRevisionLimit",
  "abortScaleDownDelaySeconds",
  "maxUnavailable",
] as const;

/** What Rollouts refer to. */
interface Others {
  readonly templates: readonly Manifest[];
  readonly services: readonly Manifest[];
}

function planOf(rollout: Manifest, { templates, services }: Others, draft: Draft): ImportedPlan | undefined {
  const { spec } = rollout;
  const selecting = servicesOfPods(rollout, services);
  spec.dismiss(...ofPods);
  const strategy = spec.object("strategy");
  const checks = new PlanChecks();
  const analyses = new ArgoAnalyses(templates, rollout, checks, draft);
  if (strategy.has("blueGreen")) return blueGreenPlan(strategy.object("blueGreen"), rollout, checks, analyses, draft);
  if (strategy.has("canary")) {
    return canaryPlan(strategy.object("canary"), { rollout, selecting, checks, analyses, draft });
  }
  draft.leftOut(titleOf(rollout), "left out: it has neither canary nor blueGreen, so there is no plan");
  return undefined;
}

interface CanaryScope {
  readonly rollout: Manifest;
  /** The Services of the input that select its Pods. */
  readonly selecting: readonly string[];
  readonly checks: PlanChecks;
  readonly analyses: ArgoAnalyses;
  readonly draft: Draft;
}

function canaryPlan(canary: SourceObject, scope: CanaryScope): ImportedPlan {
  const { rollout, selecting, checks, analyses, draft } = scope;
  const where = titleOf(rollout);
  canary.dismiss(...ofCanaryPods);
  if (canary.object("trafficRouting").object("istio").has("destinationRule"))
    canary.dismiss("stableService", "canaryService");
  const routing = canary.object("trafficRouting");
  routing.dismiss("managedRoutes");
  const maxWeight = routing.number("maxTrafficWeight") ?? 100;
  const { rings, kept } = ingressRules(canaryAnnotations(routing.object("nginx")), where, draft);
  if (canary.has("analysis")) {
    const analysis = canary.object("analysis");
    const { isComplete } = analyses.read(analysis);
    const start = analysis.number("startingStep") ?? 0;
    if (start > 0) {
      const what = `strategy.canary.analysis began with step ${start}; here its metrics are checks from the first step on`;
      draft.note(where, what);
    }
    if (!isComplete) {
      draft.noteLostProtection(
        where,
        "strategy.canary.analysis: some of its metrics are not checked (see the other notes)",
      );
    }
  }
  const { steps, mirror } = readSteps(canary, rings, {
    rollout,
    analyses,
    maxWeight,
    headersMatch: routing.has("istio") ? "any" : "all",
    draft,
  });
  const { namespace, name } = rollout;
  const subsets = subsetsOf(routing);
  const { stable, candidate } =
    subsets === undefined
      ? servicesOf(canary, rollout, selecting, draft)
      : { stable: `${name}-${subsets.stable}`, candidate: `${name}-${subsets.candidate}` };
  const hostOf = (service: string, subset: string | undefined) =>
    subset === undefined ? `${service}.${namespace}` : `*-${subset}.${namespace}`;
  const baseline = hostOf(stable, subsets?.stable);
  const root = routing.object("smi").text("rootService") || routing.object("alb").text("rootService");
  return {
    manifest: rollout,
    baseline: root === "" ? [baseline] : [baseline, `${root}.${namespace}`],
    candidate: hostOf(candidate, subsets?.candidate),
    routers: argoRouters(routing, rollout, draft),
    isWeighted: isOfTraefik(routing),
    steps: steps.written(checks.judgesUsers ? 1 : 0),
    checks: checks.written(),
    kept,
    sticky: {},
    mirror,
    ownRoutes: [ownRoute({ name, namespace, host: root || stable, stable, candidate })],
    ownTargets: [],
  };
}

function servicesOf(
  canary: SourceObject,
  rollout: Manifest,
  selecting: readonly string[],
  draft: Draft,
): { readonly stable: string; readonly candidate: string } {
  const pair = canary.object("pingPong");
  const ping = pair.text("pingService");
  const pong = pair.text("pongService");
  if (ping !== "" && pong !== "") {
    const what = `pingPong: ${ping} is the baseline and ${pong} the candidate; exchange them if the stable version is behind ${pong}`;
    draft.note(titleOf(rollout), what);
    return { stable: ping, candidate: pong };
  }
  const stable = canary.text("stableService");
  const candidate = canary.text("canaryService");
  if (stable !== "" && candidate !== "") return { stable, candidate };
  const [only] = selecting;
  const shared = selecting.length === 1 ? only : undefined;
  const base = shared ?? rollout.name;
  const names = { stable: stable || (shared ?? `${base}-stable`), candidate: candidate || `${base}-canary` };
  const why = "without stableService and canaryService Argo splits by the number of Pods behind one Service";
  const needed =
    shared === undefined
      ? `create ${names.stable} and ${names.candidate}`
      : `create ${names.candidate}, and let ${names.stable} select the stable Pods only`;
  draft.note(titleOf(rollout), `${why}; Perch needs a Service for each version: ${needed}`);
  return names;
}

/** The Services whose selector the labels of the Rollout's Pods meet. */
function servicesOfPods({ spec, namespace }: Manifest, services: readonly Manifest[]): readonly string[] {
  const labels = spec.object("template").object("metadata").object("labels");
  return services
    .filter((service) => {
      const selector = service.spec.object("selector");
      const keys = selector.keys();
      const isMet = keys.every((key) => String(selector.peek(key)) === String(labels.peek(key)));
      return service.namespace === namespace && keys.length > 0 && isMet;
    })
    .map(({ name }) => name);
}

/** The annotations of the canary Ingress that Argo creates, without the prefix of ingress-nginx. */
function canaryAnnotations(nginx: SourceObject): SourceObject {
  const prefix = nginx.text("annotationPrefix") || "nginx.ingress.kubernetes.io";
  const written = ["canaryIngressAnnotations", "additionalIngressAnnotations"].map((key) => nginx.peek(key));
  nginx.dismiss("additionalIngressAnnotations", "canaryIngressAnnotations");
  const entries = written.flatMap((one) => (isMap(one) ? Object.entries(one) : []));
  const bare = (key: string) => (key.startsWith(`${prefix}/`) ? key.slice(prefix.length + 1) : key);
  return new SourceObject(Object.fromEntries(entries.map(([key, value]) => [bare(key), value])));
}

/** Annotations of the canary Ingress, which hold for the whole rollout. */
function ingressRules(
  annotations: SourceObject,
  where: string,
  draft: Draft,
): { readonly rings: readonly YamlMap[]; readonly kept: readonly KeptRule[] } {
  const rings: YamlMap[] = [];
  const kept: KeptRule[] = [];
  const header = annotations.text("canary-by-header").toLowerCase();
  const value = annotations.text("canary-by-header-value");
  const pattern = annotations.text("canary-by-header-pattern");
  const cookie = annotations.text("canary-by-cookie");
  if (accepts(headerName, header)) {
    const problem = value === "" && pattern !== "" ? problemOf(pattern) : undefined;
    if (problem !== undefined) draft.note(where, `canary-by-header-pattern: ${problem}: left out`);
    else if (value !== "") rings.push({ header: { [header]: { equals: value } } });
    else if (pattern !== "") rings.push({ header: { [header]: { regex: pattern } } });
    else {
      rings.push({ header: { [header]: "always" } });
      kept.push({ name: "not-by-header", when: { header: { [header]: "never" } } });
    }
  }
  if (accepts(cookieName, cookie)) {
    rings.push({ cookie: { [cookie]: "always" } });
    kept.push({ name: "not-by-cookie", when: { cookie: { [cookie]: "never" } } });
  }
  const others = annotations.keys().filter((key) => !/^canary-by-(?:header(?:-value|-pattern)?|cookie)$/.test(key));
  if (others.length > 0) draft.note(where, `annotations of the canary Ingress: ${others.join(", ")}: not imported`);
  return { rings, kept };
}

function problemOf(pattern: string): string | undefined {
  const compiled = compilePattern(pattern);
  return "problem" in compiled ? `${pattern} is not valid RE2 syntax (${compiled.problem})` : undefined;
}

/** The preview gets no requests, the switch is for everyone, and the old version can come back for a while. */
function blueGreenPlan(
  blueGreen: SourceObject,
  rollout: Manifest,
  checks: PlanChecks,
  analyses: ArgoAnalyses,
  draft: Draft,
): ImportedPlan {
  const where = titleOf(rollout);
  const { namespace, name } = rollout;
  blueGreen.dismiss(...ofPreviewPods);
  const active = blueGreen.text("activeService") || name;
  const preview = blueGreen.text("previewService") || `${active}-preview`;
  if (!blueGreen.has("previewService")) {
    draft.note(where, `it has no previewService: create ${preview}, which selects the Pods of the new version`);
  }
  const steps = new PlanSteps();
  steps.setWeight(0);
  analyse(blueGreen, "prePromotionAnalysis", steps, { analyses, checks, where, draft });
  const seconds = blueGreen.number("autoPromotionSeconds") ?? 0;
  const isAutomatic = blueGreen.flag("autoPromotionEnabled") ?? true;
  if (seconds > 0) steps.hold(seconds * 1_000);
  else if (!isAutomatic) steps.pause();
  steps.setWeight(100);
  const seenMs = (blueGreen.number("scaleDownDelaySeconds") ?? 30) * 1_000;
  analyse(blueGreen, "postPromotionAnalysis", steps, { analyses, checks, where, draft });
  steps.hold(seenMs);
  const compared =
    "with everyone on one version there is nothing to compare: only a candidate that fails everything is rolled back by itself";
  draft.note(where, `blueGreen: ${compared}; steps with weights between 0 and 100 make it a canary`);
  return {
    manifest: rollout,
    baseline: [`${active}.${namespace}`],
    candidate: `${preview}.${namespace}`,
    routers: [],
    isWeighted: false,
    steps: steps.written(0),
    checks: checks.written(),
    kept: [],
    sticky: {},
    mirror: undefined,
    ownRoutes: [ownRoute({ name, namespace, host: active, stable: active, candidate: preview })],
    ownTargets: [],
  };
}

function analyse(
  blueGreen: SourceObject,
  key: string,
  steps: PlanSteps,
  scope: {
    readonly analyses: ArgoAnalyses;
    readonly checks: PlanChecks;
    readonly where: string;
    readonly draft: Draft;
  },
): void {
  const { analyses, checks, where, draft } = scope;
  if (!blueGreen.has(key)) return;
  const { isComplete, takesMs } = analyses.read(blueGreen.object(key));
  // Before the promotion the candidate has no users, so nothing of theirs can be judged.
  const isBlind = key === "prePromotionAnalysis" && checks.judgesUsers;
  if (isComplete && takesMs !== undefined && !isBlind) {
    steps.hold(takesMs);
    return;
  }
  const why = isBlind
    ? "it judges answers to users, whom the candidate has none of before the promotion"
    : isComplete
      ? "it measures without an end"
      : "not all of its metrics are checked";
  draft.note(where, `${key}: ${why}, so the plan pauses there, until a person resumes it`);
  steps.pause();
}

interface OwnRoute {
  readonly name: string;
  readonly namespace: string;
  /** The Service that callers name. */
  readonly host: string;
  readonly stable: string;
  readonly candidate: string;
}

/** A route for those who call the Service by its name in the cluster. */
function ownRoute({ name, namespace, host, stable, candidate }: OwnRoute): object {
  return {
    apiVersion: "networking.istio.io/v1",
    kind: "VirtualService",
    metadata: { name, namespace },
    spec: {
      hosts: [host],
      http: [
        {
          route: [
            { destination: { host: stable }, weight: 100 },
            { destination: { host: candidate }, weight: 0 },
          ],
        },
      ],
    },
  };
}
