import { isIP } from "node:net";
import type { Diagnostic } from "../config/schema-kit/diagnostics.ts";
import type { ReleaseSpec } from "../decide/release-spec.ts";
import type { Exposition, MetricsFormat } from "../observe/prometheus.ts";
import type { ReleaseStats } from "../observe/stats-registry.ts";
import { weightRatios } from "../observe/weight-ratio.ts";
import type { Rollouts } from "../rollout/rollouts-api.ts";
import type { HealthState } from "../upstream/endpoint-health.ts";
import type { HealthSpec, ServiceSpec } from "../upstream/service-spec.ts";

/** `starting` and `no-socket-worker`: a listener does not accept connections yet, or not any more. */
export type Readiness = "ready" | "starting" | "no-worker" | "no-socket-worker" | "draining";

export interface ActiveConfig {
  /** Undefined if the configuration was made from flags. */
  readonly file: string | undefined;
  readonly hash: string;
  readonly loadedAtMs: number;
  readonly warnings: readonly Diagnostic[];
}

export interface ConfigError {
  readonly atMs: number;
  /** All problems as printed by `perch validate`: file:line:column, excerpt, caret. */
  readonly text: string;
  readonly problems: readonly Diagnostic[];
}

export interface ConfigView {
  readonly active: ActiveConfig;
  /** Why the last reload was rejected; undefined once a reload has succeeded. */
  readonly lastError: ConfigError | undefined;
  /** Changed settings that take effect only after a restart, such as `listeners`. */
  readonly restartNeeded: readonly string[];
}

/** A validated request to explain. */
export interface ExplainQuery {
  /** Absolute, http or https. Not normalised, so that the path is judged as a client would send it. */
  readonly url: string;
  readonly method: string;
  /** Names in lower case, without Cookie. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** All cookies as one header value. */
  readonly cookies: string | undefined;
  /** The client's IP address; undefined: not specified. */
  readonly client: string | undefined;
}

export type ExplainAnswer =
  /** What `perch explain --json` prints. */
  | { readonly kind: "explained"; readonly explanation: Readonly<Record<string, unknown>> }
  /** Perch would reject such a request; the message says why. */
  | { readonly kind: "refused"; readonly message: string };

/** The data that the admin server shows, supplied by the application. Reading counts nothing. */
export interface AdminView {
  metrics(format: MetricsFormat): Promise<Exposition>;
  readiness(): Readiness;
  config(): ConfigView;
  releases(): Promise<readonly ReleaseReport[]>;
  endpoints(): Promise<readonly EndpointReport[]>;
  explain(query: ExplainQuery): Promise<ExplainAnswer>;
  /** Undefined where nothing controls rollouts. */
  readonly rollouts: Rollouts | undefined;
}

/** One endpoint in `/api/endpoints`. Times are ISO 8601. */
export interface EndpointReport {
  readonly service: string;
  readonly version: string;
  readonly endpoint: string;
  /** `up`, or why it gets no requests: `failing` health checks, `ejected` for its responses, `refused` connections. */
  readonly state: HealthState["state"];
  readonly why: string | null;
  readonly since: string | null;
  /** When requests may try it again. Null while it is up, and while only a health check can bring it back. */
  readonly triedAgainAt: string | null;
  readonly checked: { readonly by: HealthSpec["probe"]["kind"]; readonly everyMs: number } | null;
  /**
   * Until when each of its connections carries one request, because it sent bytes that no request asked for. Null: its
   * connections are reused.
   */
  readonly singleUseUntil: string | null;
}

/** One endpoint and its health state. */
export interface EndpointView {
  readonly service: string;
  readonly version: string;
  readonly origin: string;
  readonly health: { readonly belief: HealthState };
  readonly singleUse: { readonly untilMs: number };
}

export function reportEndpoints(
  endpoints: Iterable<EndpointView>,
  services: readonly Pick<ServiceSpec, "name" | "health">[],
  nowMs: number,
): readonly EndpointReport[] {
  const checks = new Map(services.map(({ name, health }) => [name, health]));
  return Array.from(endpoints, ({ service, version, origin, health: { belief }, singleUse }) => {
    const { state, why, sinceMs, closedUntilMs } = belief;
    const check = checks.get(service);
    const waits = closedUntilMs > 0 && closedUntilMs < Number.POSITIVE_INFINITY;
    return {
      service,
      version,
      endpoint: origin,
      state,
      why: why === "" ? null : why,
      since: sinceMs === undefined ? null : new Date(sinceMs).toISOString(),
      triedAgainAt: waits ? new Date(closedUntilMs).toISOString() : null,
      checked: check === undefined ? null : { by: check.probe.kind, everyMs: check.intervalMs },
      singleUseUntil: singleUse.untilMs > nowMs ? new Date(singleUse.untilMs).toISOString() : null,
    };
  });
}

const minuteMs = 60_000;

/** Decisions of the last minutes, with a resolution of ten seconds. */
export interface Observed {
  /** Drawn by the split. */
  readonly decisions: number;
  /** By anything else: pins, rules, overrides. These follow no weight. */
  readonly placed: number;
  /** Of the release's drawn decisions, 0 to 1. Null without decisions, since that is not a share of zero. */
  readonly share: number | null;
}

export interface VersionReport {
  readonly version: string;
  /** From the split, 0 to 1; null if the release has no split. */
  readonly configuredShare: number | null;
  readonly lastMinute: Observed;
  readonly lastFiveMinutes: Observed;
}

/** One release in `/api/releases`. Counts are of assigned versions, since this process started. */
export interface ReleaseReport {
  readonly release: string;
  readonly versions: readonly VersionReport[];
  readonly rules: readonly { readonly rule: string; readonly hits: number }[];
  readonly pinFlips: number;
  readonly pinsRejected: Readonly<Record<string, number>>;
}

/** `nowMs` must be of the same clock as the recorded decisions. */
export function reportRelease(
  spec: Pick<ReleaseSpec, "name" | "versions" | "split">,
  stats: ReleaseStats,
  nowMs: number,
): ReleaseReport {
  const configured = new Map(Array.from(weightRatios([spec]), ({ version, ratio }) => [version, ratio]));
  const lastMinute = observed(stats, minuteMs, nowMs);
  const lastFiveMinutes = observed(stats, 5 * minuteMs, nowMs);
  const nothing: Observed = { decisions: 0, placed: 0, share: null };
  return {
    release: spec.name,
    versions: spec.versions.map((version) => ({
      version,
      configuredShare: configured.get(version) ?? null,
      lastMinute: lastMinute.get(version) ?? nothing,
      lastFiveMinutes: lastFiveMinutes.get(version) ?? nothing,
    })),
    rules: Array.from(stats.ruleHits, ([rule, hits]) => ({ rule, hits: hits.value })),
    pinFlips: stats.pinFlips.value,
    pinsRejected: Object.fromEntries(
      Object.entries(stats.pinsRejected.by).map(([cause, counter]) => [cause, counter.value]),
    ),
  };
}

function observed(stats: ReleaseStats, spanMs: number, nowMs: number): ReadonlyMap<string, Observed> {
  const totals = Array.from(stats.versions, ([version, { drawn, placed }]) => ({
    version,
    decisions: drawn.total(spanMs, nowMs),
    placed: placed.total(spanMs, nowMs),
  }));
  const sum = totals.reduce((total, { decisions }) => total + decisions, 0);
  return new Map(
    totals.map(({ version, decisions, placed }) => [
      version,
      { decisions, placed, share: sum === 0 ? null : decisions / sum },
    ]),
  );
}

/** The body of `/api/config`. Absent values are null, never omitted. */
export function configBody({ active, lastError, restartNeeded }: ConfigView) {
  return {
    active: {
      file: active.file ?? null,
      hash: active.hash,
      loadedAt: new Date(active.loadedAtMs).toISOString(),
      warnings: active.warnings.map(problemBody),
    },
    lastError:
      lastError === undefined
        ? null
        : {
            at: new Date(lastError.atMs).toISOString(),
            text: lastError.text,
            problems: lastError.problems.map(problemBody),
          },
    restartNeeded,
  };
}

function problemBody({ code, severity, message, file, line, column, suggestion }: Diagnostic) {
  return {
    code,
    severity,
    position: `${file}:${line}:${column}`,
    file,
    line,
    column,
    message,
    suggestion: suggestion ?? null,
  };
}

export type ParsedExplainQuery =
  | { readonly kind: "query"; readonly query: ExplainQuery }
  | { readonly kind: "problems"; readonly problems: readonly string[] };

/** RFC 9110 §5.6.2. */
const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** RFC 9110 §5.5, with obs-text; of control characters only the tab. */
const fieldValue = /^[\t\x20-\x7e\x80-\uffff]*$/;
const parameters = ["url", "method", "header", "cookie", "client"];

/**
 * Parses `?url=…&method=…&header=name:value&cookie=name=value&client=…`; `header` and `cookie` may be repeated. Returns
 * all problems at once.
 */
export function parseExplainQuery(search: URLSearchParams): ParsedExplainQuery {
  const problems: string[] = [];
  for (const name of new Set(search.keys())) {
    if (!parameters.includes(name)) problems.push(`Unknown parameter "${name}". Supported: ${parameters.join(", ")}.`);
  }
  const single = (name: string): string | undefined => {
    const values = search.getAll(name);
    if (values.length > 1) problems.push(`"${name}" is given ${values.length} times; only once is allowed.`);
    return values[0];
  };
  const url = single("url");
  const method = single("method") ?? "GET";
  const client = single("client");
  const cookies = search.getAll("cookie");
  if (url === undefined) problems.push('"url" is missing. Example: url=http://shop.example.com/cart');
  else if (!isHttpUrl(url)) problems.push('"url" must be an absolute http or https URL without a user name.');
  if (!token.test(method)) problems.push('"method" must be an HTTP method.');
  if (client !== undefined && isIP(client) === 0) problems.push('"client" must be an IP address.');
  if (!cookies.every((cookie) => fieldValue.test(cookie))) problems.push('"cookie" contains a control character.');
  const headers = parseHeaders(search.getAll("header"), problems);
  if (problems.length > 0 || url === undefined) return { kind: "problems", problems };
  const query = { url, method, headers, cookies: cookies.length === 0 ? undefined : cookies.join("; "), client };
  return { kind: "query", query };
}

function isHttpUrl(text: string): boolean {
  // The URL parser silently drops tabs and newlines, but no request can contain them.
  if (!/^https?:\/\/[\x21-\x7e\x80-\uffff]+$/i.test(text) || !URL.canParse(text)) return false;
  const { username, password } = new URL(text);
  return username === "" && password === "";
}

function parseHeaders(texts: readonly string[], problems: string[]): (readonly [string, string])[] {
  const headers: (readonly [string, string])[] = [];
  for (const text of texts) {
    const colon = text.indexOf(":");
    const name = text.slice(0, Math.max(colon, 0)).toLowerCase();
    const value = text.slice(colon + 1).trim();
    if (!token.test(name)) problems.push('"header" must be name:value.');
    else if (!fieldValue.test(value)) problems.push(`"header" ${name} contains a control character.`);
    else if (name === "cookie") problems.push('"header" must not be a cookie; use the parameter "cookie".');
    else headers.push([name, value]);
  }
  return headers;
}

const openMetrics = "application/openmetrics-text";
/** Wildcards select the Prometheus text format. */
const textTypes: ReadonlySet<string> = new Set(["text/plain", "text/*", "*/*"]);

/**
 * The format that a scraper's Accept prefers (RFC 9110 §12.5.1): OpenMetrics if it is named, with at least the quality
 * of the text format. Browsers and curl do not name it.
 */
export function metricsFormat(accept: string | undefined): MetricsFormat {
  let [open, plain] = [0, 0];
  for (const range of (accept ?? "").toLowerCase().split(",")) {
    const [type = "", ...parameters] = range.split(";").map((part) => part.trim());
    if (type === openMetrics && isKnownVersion(parameters)) open = Math.max(open, quality(parameters));
    if (textTypes.has(type)) plain = Math.max(plain, quality(parameters));
  }
  return open > 0 && open >= plain ? "open-metrics" : "prometheus";
}

/** 0.0.1 is the draft of 1.0.0. */
function isKnownVersion(parameters: readonly string[]): boolean {
  const version = parameters.find((parameter) => parameter.startsWith("version="));
  return version === undefined || /^version="?(?:0\.0\.1|1\.0\.0)"?$/.test(version);
}

function quality(parameters: readonly string[]): number {
  const given = parameters.find((parameter) => parameter.startsWith("q="));
  const value = given === undefined ? 1 : Number(given.slice(2));
  return value >= 0 && value <= 1 ? value : 0;
}
