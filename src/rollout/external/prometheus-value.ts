export type PrometheusValue =
  | { readonly kind: "value"; readonly value: number }
  /** A clause that says why there is none. */
  | { readonly kind: "none"; readonly why: string };

/** Enough of an error's text to find it. */
const maxErrorLength = 200;

/** The one number in an answer of `/api/v1/query` (https://prometheus.io/docs/prometheus/latest/querying/api/). */
export function readPrometheusValue(status: number, text: string): PrometheusValue {
  const answer = parsed(text);
  const error = field(answer, "error");
  if (typeof error === "string") return none(`Prometheus answered ${status}: ${error.slice(0, maxErrorLength)}`);
  if (status !== 200) return none(`it answered ${status}`);
  if (field(answer, "status") !== "success") return none("its answer is not a response of Prometheus");
  const data = field(answer, "data");
  const result = field(data, "result");
  if (!Array.isArray(result)) return none("its answer is not a response of Prometheus");
  switch (field(data, "resultType")) {
    case "scalar":
      return numberOf(result);
    case "vector":
      if (result.length === 0) return none("nothing matches it");
      if (result.length > 1) return none(`it gives ${result.length} series; let it give one, such as with sum()`);
      return numberOf(field(result[0], "value"));
    default:
      return none(`it gives a ${String(field(data, "resultType"))}; let it give one number`);
  }
}

/** A time and the number as a text. NaN and infinities come from a division by zero: nothing was measured. */
function numberOf(sample: unknown): PrometheusValue {
  const text: unknown = Array.isArray(sample) ? sample[1] : undefined;
  if (typeof text !== "string" || text === "") return none("it gives no number");
  const value = Number(text);
  return Number.isFinite(value) ? { kind: "value", value } : none(`it gives ${text}`);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function field(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>)[name] : undefined;
}

function none(why: string): PrometheusValue {
  return { kind: "none", why };
}
