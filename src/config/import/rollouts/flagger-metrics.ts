import { type Draft, resourceNameOf } from "../draft.ts";
import { millisecondsIn } from "../durations.ts";
import { type Manifest, titleOf } from "../manifests.ts";
import type { SourceObject } from "../source-object.ts";
import { namesOf } from "./flagger-routes.ts";
import type { PlanChecks } from "./plan.ts";
import { addPrometheusMetric } from "./prometheus-metric.ts";
import type { Limits } from "./result-condition.ts";

export interface FlaggerMetricsParts {
  readonly canary: Manifest;
  /** The MetricTemplates of the input. */
  readonly templates: readonly Manifest[];
  readonly checks: PlanChecks;
  /** How often it is checked. */
  readonly everyMs: number;
  /** Bad checks in all that roll back. */
  readonly threshold: number;
  readonly draft: Draft;
}

/** The share of answers that may take longer than `request-duration`, which is their 99th percentile. */
const slowShare = 0.01;

/** Reads `analysis.metrics` of one Canary: each becomes a check of its plan. */
export class FlaggerMetrics {
  readonly #parts: FlaggerMetricsParts;

  constructor(parts: FlaggerMetricsParts) {
    this.#parts = parts;
  }

  /** Whether all of them became checks. */
  read(analysis: SourceObject): boolean {
    const { checks, canary, draft, threshold } = this.#parts;
    const added = analysis.objects("metrics").map((metric) => this.#metric(metric));
    const where = titleOf(canary);
    if (checks.judgesUsers) {
      draft.note(
        where,
        "request-success-rate and request-duration are judged by users: each counts once, at the first bad answer, so set atMost higher if a user's many requests meet more; each step waits for one user at least, as Flagger needs requests",
      );
    }
    if (added.length > 0) {
      const rolledBack = `rolled back after ${threshold} bad checks in all`;
      draft.note(
        where,
        `a bad check kept the weight, and Flagger ${rolledBack}; here the steps go on until a check fails`,
      );
    }
    return added.every(Boolean);
  }

  #metric(metric: SourceObject): boolean {
    const { checks } = this.#parts;
    const name = metric.text("name");
    const range = metric.object("thresholdRange");
    const old = metric.number("threshold");
    const min = range.number("min");
    const max = range.number("max");
    if (!metric.has("templateRef") && !metric.has("query")) {
      const success = name === "request-success-rate" ? (min ?? old) : undefined;
      const slow = name === "request-duration" ? (max ?? slowestMs(metric, old)) : undefined;
      metric.dismiss("interval");
      const other = name === "request-success-rate" ? max : min;
      if (success !== undefined && other === undefined) checks.addErrors(name, 1 - success / 100);
      else if (slow !== undefined && slow > 0 && other === undefined) checks.addSlow(name, slow, slowShare);
      else return this.#lose(metric, name, "its limits have no equivalent");
      return true;
    }
    // The old single limit was a maximum for queries of one's own.
    const atMost = max ?? (min === undefined ? old : undefined);
    return this.#query(metric, {
      ...(min === undefined ? {} : { atLeast: min }),
      ...(atMost === undefined ? {} : { atMost }),
    });
  }

  #query(metric: SourceObject, limits: Limits): boolean {
    const { canary, checks, draft, everyMs, threshold } = this.#parts;
    const name = metric.text("name");
    const where = titleOf(canary);
    const found = this.#source(metric);
    if ("problem" in found) return this.#lose(metric, name, found.problem);
    const query = this.#resolved(found.query, metric);
    const unknown = /\{\{[^}]*\}\}/.exec(query)?.[0];
    if (unknown !== undefined) return this.#lose(metric, name, `the value of ${unknown} is not in the input`);
    metric.dismiss("interval", "templateVariables");
    const url = found.url;
    const judge = addPrometheusMetric({ name, url, query, limits, everyMs, failures: threshold }, checks, where, draft);
    if (judge === "prometheus") {
      draft.note(
        where,
        `the metric ${name}: ${threshold} bad values in a row fail, and a query without a value is none`,
      );
    }
    return judge !== undefined;
  }

  /** The server and the query of the template, or of the metric itself. */
  #source(metric: SourceObject): { readonly url: string; readonly query: string } | { readonly problem: string } {
    const { canary, templates } = this.#parts;
    if (!metric.has("templateRef")) {
      const url = canary.spec.text("metricsServer");
      const query = metric.text("query");
      return url === "" ? { problem: "the input does not name its Prometheus server (metricsServer)" } : { url, query };
    }
    const reference = metric.object("templateRef");
    const wanted = reference.text("name");
    const namespace = reference.text("namespace") || canary.namespace;
    reference.dismiss("kind", "apiVersion");
    const found = templates.find((one) => one.name === wanted && one.namespace === namespace);
    if (found === undefined) return { problem: `the input has no MetricTemplate ${namespace}/${wanted}` };
    const provider = found.spec.object("provider");
    const type = provider.text("type");
    const url = provider.text("address");
    const query = found.spec.text("query");
    const needsSecret = provider.object("secretRef").text("name") !== "";
    const skipsVerify = provider.flag("insecureSkipVerify") === true && url.startsWith("https:");
    if (type !== "prometheus") {
      found.spec.dismiss();
      return { problem: `it asks ${type}; a plan asks Prometheus, or a webhook before a step` };
    }
    if (needsSecret) return { problem: "its queries have credentials, which Perch does not send" };
    if (skipsVerify) return { problem: "the certificate of its server is not verified, which Perch always does" };
    return { url, query };
  }

  #resolved(query: string, metric: SourceObject): string {
    const { canary } = this.#parts;
    const { apex } = namesOf(canary);
    const values: Readonly<Record<string, string>> = {
      name: canary.name,
      namespace: canary.namespace,
      target: canary.spec.object("targetRef").text("name"),
      service: apex,
      ingress: String(canary.spec.object("ingressRef").peek("name") ?? ""),
      interval: String(metric.peek("interval") ?? "1m"),
    };
    const own = metric.object("templateVariables");
    return query.replace(
      /\{\{-?\s*(variables\.)?([\w-]+)\s*-?\}\}/g,
      (whole, isOwn: string | undefined, key: string) => {
        const value = isOwn === undefined ? values[key] : own.text(key);
        return value === undefined || value === "" ? whole : value;
      },
    );
  }

  #lose(metric: SourceObject, name: string, why: string): false {
    const { canary, draft } = this.#parts;
    draft.noteLostProtection(titleOf(canary), `the metric ${resourceNameOf(name)} is not checked: ${why}`);
    metric.dismiss();
    return false;
  }
}

/** The old limit, which may be a number of milliseconds, or a duration. */
function slowestMs(metric: SourceObject, old: number | undefined): number | undefined {
  return old ?? metric.take("threshold", millisecondsIn);
}
