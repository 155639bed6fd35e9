import { compilePattern } from "../../pattern.ts";
import { type Draft, lossOf } from "../draft.ts";
import { type Manifest, titleOf } from "../manifests.ts";
import type { SourceObject } from "../source-object.ts";
import type { PlanChecks } from "./plan.ts";
import { millisecondsOf } from "./plan-steps.ts";
import { addPrometheusMetric } from "./prometheus-metric.ts";
import { type ReadCondition, readFailure, readSuccess } from "./result-condition.ts";

/** What a plan makes of an analysis. */
export interface ReadAnalysis {
  /** Whether all of its metrics became checks. */
  readonly isComplete: boolean;
  /** How long it measures; undefined if it goes on until something ends it. */
  readonly takesMs: number | undefined;
}

type Arguments = ReadonlyMap<string, string>;

/** How often a metric without an interval, which is measured once, is asked for. */
const singleMs = 30_000;

/** Reads the analyses of one Rollout: their metrics become checks of its plan, each once. */
export class ArgoAnalyses {
  readonly #templates: readonly Manifest[];
  readonly #rollout: Manifest;
  readonly #checks: PlanChecks;
  readonly #draft: Draft;
  readonly #known = new Map<string, boolean>();

  constructor(templates: readonly Manifest[], rollout: Manifest, checks: PlanChecks, draft: Draft) {
    this.#templates = templates;
    this.#rollout = rollout;
    this.#checks = checks;
    this.#draft = draft;
  }

  /** Of a step, in the background, or before and after a promotion. */
  read(analysis: SourceObject): ReadAnalysis {
    const given = this.#argumentsOf(analysis.objects("args"));
    const dry = analysis.objects("dryRun").map((one) => one.text("metricName"));
    analysis.dismiss("measurementRetention", "analysisRunMetadata");
    return joined(analysis.objects("templates").map((reference) => this.#template(reference, given, dry, [])));
  }

  #template(reference: SourceObject, given: Arguments, dry: readonly string[], above: readonly string[]): ReadAnalysis {
    const name = reference.text("templateName");
    const kind = reference.flag("clusterScope") === true ? "ClusterAnalysisTemplate" : "AnalysisTemplate";
    const found = this.#templates.find(
      (one) =>
        one.kind === kind &&
        one.name === name &&
        (kind === "ClusterAnalysisTemplate" || one.namespace === this.#rollout.namespace),
    );
    if (found === undefined || above.includes(name)) {
      const what = `its analysis ${name} is not checked: the input has no ${kind} of this name`;
      this.#draft.noteLostProtection(titleOf(this.#rollout), what);
      return { isComplete: false, takesMs: undefined };
    }
    const { spec } = found;
    spec.dismiss("measurementRetention");
    const all = new Map([...this.#argumentsOf(spec.objects("args")), ...given]);
    const unjudged = [...dry, ...spec.objects("dryRun").map((one) => one.text("metricName"))];
    const metrics = spec.objects("metrics").map((metric) => this.#metric(metric, found, all, unjudged));
    const nested = spec.objects("templates").map((inner) => this.#template(inner, given, unjudged, [...above, name]));
    return joined([...metrics, ...nested]);
  }

  #argumentsOf(args: readonly SourceObject[]): Arguments {
    const { name, namespace } = this.#rollout;
    const fields: Readonly<Record<string, string>> = { "metadata.name": name, "metadata.namespace": namespace };
    return new Map(
      args.flatMap((arg): [string, string][] => {
        const key = arg.text("name");
        const from = arg.object("valueFrom").object("fieldRef").text("fieldPath");
        const value = arg.has("value") ? arg.text("value") : fields[from];
        // A metric that needs another one is named with it.
        arg.dismiss();
        return value === undefined ? [] : [[key, value]];
      }),
    );
  }

  #metric(metric: SourceObject, template: Manifest, args: Arguments, dry: readonly string[]): ReadAnalysis {
    const name = metric.text("name");
    const resolve = (text: string) =>
      text.replace(/\{\{\s*(?:args|inputs)\.([\w.-]+)\s*\}\}/g, (whole, key: string) => args.get(key) ?? whole);
    const intervalMs = millisecondsOf(resolve(metric.text("interval")));
    const delayMs = millisecondsOf(resolve(metric.text("initialDelay"))) ?? 0;
    const count = wholeNumber(resolve(metric.text("count")));
    const limit = wholeNumber(resolve(metric.text("failureLimit"))) ?? 0;
    const everyMs = Math.max(intervalMs ?? singleMs, 1_000);
    const failures = Math.max(limit, 0) + 1;
    const measures = count === undefined || count === 0 ? (intervalMs === undefined ? 1 : undefined) : count;
    const takesMs = measures === undefined ? undefined : delayMs + everyMs * Math.max(measures, failures);
    if (dry.some((one) => matches(one, name))) {
      this.#draft.note(titleOf(template), `the metric ${name} is left out: it is a dry run, which decides nothing`);
      metric.dismiss();
      return { isComplete: true, takesMs };
    }
    const why = undecided(metric, limit);
    if (why !== undefined) {
      this.#draft.note(titleOf(template), `the metric ${name} is left out: ${why}`, lossOf(limit < 0));
      metric.dismiss();
      return { isComplete: limit >= 0, takesMs };
    }
    const isKnown = this.#add({ metric, name, template, resolve, everyMs, failures });
    return { isComplete: isKnown, takesMs };
  }

  #add(of: {
    readonly metric: SourceObject;
    readonly name: string;
    readonly template: Manifest;
    readonly resolve: (text: string) => string;
    readonly everyMs: number;
    readonly failures: number;
  }): boolean {
    const { metric, name, template, resolve, everyMs, failures } = of;
    const where = titleOf(template);
    const lose = (why: string): boolean => {
      this.#draft.noteLostProtection(where, `the metric ${name} is not checked: ${why}`);
      metric.dismiss();
      return false;
    };
    const provider = metric.object("provider");
    const prometheus = provider.object("prometheus");
    if (!provider.has("prometheus")) {
      return lose(
        `it asks ${provider.keys().join(", ") || "nobody"}; a plan asks Prometheus, or a webhook before a step`,
      );
    }
    const url = resolve(prometheus.text("address"));
    const query = resolve(prometheus.text("query"));
    const key = JSON.stringify([where, name, url, query]);
    const before = this.#known.get(key);
    if (before !== undefined) return before;
    const unknown = /\{\{[^}]*\}\}/.exec(url + query)?.[0];
    if (unknown !== undefined) return lose(`the value of ${unknown} is not in the input`);
    if (prometheus.has("authentication") || prometheus.has("headers")) {
      return lose("its queries have credentials or headers, which Perch does not send");
    }
    if (prometheus.has("rangeQuery")) return lose("it is a query over a range of time, and a plan takes one value");
    if (prometheus.flag("insecure") === true && url.startsWith("https:")) {
      return lose("the certificate of its server is not verified, which Perch always does");
    }
    const condition = this.#condition(metric, name, where, resolve);
    if (condition === undefined) return lose("its condition is not a comparison of result[0] with a number");
    prometheus.dismiss("timeout");
    metric.dismiss("inconclusiveLimit", "consecutiveSuccessLimit");
    const errors = wholeNumber(resolve(metric.text("consecutiveErrorLimit"))) ?? 4;
    const { limits } = condition;
    const judge = addPrometheusMetric(
      { name, url, query, limits, everyMs, failures },
      this.#checks,
      where,
      this.#draft,
    );
    const isAdded = judge !== undefined;
    this.#known.set(key, isAdded);
    if (judge === "prometheus") this.#noteDifferences(condition, { name, failures, errors }, where);
    if (!isAdded) metric.dismiss();
    return isAdded;
  }

  #condition(
    metric: SourceObject,
    name: string,
    where: string,
    resolve: (text: string) => string,
  ): ReadCondition | undefined {
    const success = resolve(metric.text("successCondition"));
    const failure = resolve(metric.text("failureCondition"));
    if (success === "") return readFailure(failure);
    const condition = readSuccess(success);
    const other = failure === "" ? undefined : readFailure(failure);
    if (failure !== "" && JSON.stringify(other?.limits) !== JSON.stringify(condition?.limits)) {
      const what = `the metric ${name}: values that are neither a success nor a failure paused the rollout; here they are bad, and count towards a rollback`;
      this.#draft.note(where, what);
    }
    return condition;
  }

  #noteDifferences(
    { isStrict, emptyFails }: ReadCondition,
    { name, failures, errors }: { readonly name: string; readonly failures: number; readonly errors: number },
    where: string,
  ): void {
    const draft = this.#draft;
    const aborted = `Argo aborts after ${errors + 1} in a row`;
    draft.note(
      where,
      `a query without a value, or that fails, is no evidence in Perch, and the rollout goes on; ${aborted}`,
    );
    if (emptyFails) {
      draft.noteLostProtection(where, `the metric ${name}: a query without a value was a failure; here it is none`);
    }
    if (isStrict) draft.note(where, `the metric ${name}: a value that equals the limit is good here`);
    if (failures > 1) {
      draft.note(where, `the metric ${name}: ${failures} bad values in a row fail, where ${failures} in all did`);
    }
  }
}

function joined(parts: readonly ReadAnalysis[]): ReadAnalysis {
  const times = parts.map(({ takesMs }) => takesMs);
  return {
    isComplete: parts.length > 0 && parts.every(({ isComplete }) => isComplete),
    takesMs: times.includes(undefined) ? undefined : Math.max(0, ...times.map((one) => one ?? 0)),
  };
}

function wholeNumber(text: string): number | undefined {
  return /^-?\d{1,6}$/.test(text) ? Number(text) : undefined;
}

/** Why a metric decided nothing, or not as a check does; undefined if it decided. */
function undecided(metric: SourceObject, limit: number): string | undefined {
  if (limit < 0) return "with failureLimit -1 it had to become good in the end, and bad values before failed nothing";
  // A Job, for one, succeeds or fails by itself.
  const isJudged =
    !metric.object("provider").has("prometheus") ||
    ["successCondition", "failureCondition"].some((key) => metric.has(key));
  return isJudged ? undefined : "it has no condition, so each of its values was good";
}

/** A dry run names metrics by a pattern, which matches anywhere. */
function matches(pattern: string, name: string): boolean {
  const compiled = compilePattern(pattern);
  return "problem" in compiled ? pattern === name : compiled.test(name) === true;
}
