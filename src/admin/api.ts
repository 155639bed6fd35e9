import { isIP } from "node:net";
import type { Diagnostic } from "../config/schema-kit/diagnostics.ts";
import type { ReleaseSpec } from "../decide/release-spec.ts";
import type { Exposition, MetricsFormat } from "../observe/prometheus.ts";
import type { ReleaseStats } from "../observe/stats-registry.ts";
import { weightRatios } from "../observe/weight-ratio.ts";
import type { HealthState } from "../upstream/endpoint-health.ts";
import type { HealthSpec, ServiceSpec } from "../upstream/service-spec.ts";

export type Readiness = "ready" | "no-config" | "no-worker" | "draining";

export interface ActiveConfig {
  /** Undefined where the configuration came from flags. */
  readonly file: string | undefined;
  readonly hash: string;
  readonly loadedAtMs: number;
  readonly warnings: readonly Diagnostic[];
}

export interface ConfigError {
  readonly atMs: number;
  /** All problems as `perch validate` prints them: file:line:column, excerpt, caret. */
  readonly text: string;
  readonly problems: readonly Diagnostic[];
}

export interface ConfigView {
  readonly active: ActiveConfig | undefined;
  /** Why the file as it now is was refused; undefined once it is the active one. */
  readonly lastError: ConfigError | undefined;
  /** Settings that differ in the file and that only a restart changes, such as `listeners`. */
  readonly restartNeeded: readonly string[];
}

/** A request to be explained, checked to be one that could be sent. */
export interface ExplainQuery {
  /** Absolute, http or https; the text as given, so that the path is judged as it would come. */
  readonly url: string;
  readonly method: string;
  /** Names in lower case. Cookie headers are not among them. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** All cookies as one header value. */
  readonly cookies: string | undefined;
  /** The client's IP address; undefined: some client's. */
  readonly client: string | undefined;
}

export type ExplainAnswer =
  /** What `perch explain --json` prints. */
  | { readonly kind: "explained"; readonly explanation: Readonly<Record<string, unknown>> }
  /** No such request could be served; the message says why. */
  | { readonly kind: "refused"; readonly message: string };

/** What the admin server shows. The application supplies it; nothing here changes any state or counts anything. */
export interface AdminView {
  metrics(format: MetricsFormat): Promise<Exposition>;
  readiness(): Readiness;
  config(): ConfigView;
  releases(): Promise<readonly ReleaseReport[]>;
  endpoints(): Promise<readonly EndpointReport[]>;
  explain(query: ExplainQuery): Promise<ExplainAnswer>;
}

/** One endpoint, as `/api/endpoints` shows it. Times are ISO 8601; null where there is nothing to say. */
export interface EndpointReport {
  readonly service: string;
  readonly version: string;
  readonly endpoint: string;
  /** up, or why it gets no requests: `failing` its checks, `ejected` for its answers, `refused` connections. */
  readonly state: HealthState["state"];
  readonly why: string | null;
  readonly since: string | null;
  /** From when on a request may try it; null while it is up, and while only a check can tell. */
  readonly triedAgainAt: string | null;
  readonly checked: { readonly by: HealthSpec["probe"]["kind"]; readonly everyMs: number } | null;
}

/** What is believed of one endpoint. */
export interface EndpointView {
  readonly service: string;
  readonly version: string;
  readonly origin: string;
  readonly health: { readonly belief: HealthState };
}

export function reportEndpoints(
  endpoints: Iterable<EndpointView>,
  services: readonly Pick<ServiceSpec, "name" | "health">[],
): readonly EndpointReport[] {
  const checks = new Map(services.map(({ name, health }) => [name, health]));
  return Array.from(endpoints, ({ service, version, origin, health: { belief } }) => {
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
    };
  });
}

const minuteMs = 60_000;

/** What was decided in the last minutes, in steps of ten seconds. */
export interface Observed {
  readonly decisions: number;
  /** Of the release's decisions, 0 to 1; null where there were none, since none is not a share of zero. */
  readonly share: number | null;
}

export interface VersionReport {
  readonly version: string;
  /** What the split says, 0 to 1; null where the release has no split. */
  readonly configuredShare: number | null;
  readonly lastMinute: Observed;
  readonly lastFiveMinutes: Observed;
}

/** One release, as `/api/releases` shows it. Counts are of versions assigned, in this process, since it started. */
export interface ReleaseReport {
  readonly release: string;
  readonly versions: readonly VersionReport[];
  readonly rules: readonly { readonly rule: string; readonly hits: number }[];
  readonly pinFlips: number;
  readonly pinsRejected: Readonly<Record<string, number>>;
}

/** `nowMs` is the clock that the decisions were counted by. */
export function reportRelease(
  spec: Pick<ReleaseSpec, "name" | "versions" | "split">,
  stats: ReleaseStats,
  nowMs: number,
): ReleaseReport {
  const configured = new Map(Array.from(weightRatios([spec]), ({ version, ratio }) => [version, ratio]));
  const lastMinute = observed(stats, minuteMs, nowMs);
  const lastFiveMinutes = observed(stats, 5 * minuteMs, nowMs);
  const nothing: Observed = { decisions: 0, share: null };
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
  const totals = Array.from(stats.versions, ([version, { window }]) => ({
    version,
    decisions: window.total(spanMs, nowMs),
  }));
  const sum = totals.reduce((total, { decisions }) => total + decisions, 0);
  return new Map(
    totals.map(({ version, decisions }) => [version, { decisions, share: sum === 0 ? null : decisions / sum }]),
  );
}

/** `/api/config`: what is active, and why the file is not, where it is not. Absent things are null, never left out. */
export function configBody({ active, lastError, restartNeeded }: ConfigView) {
  return {
    active:
      active === undefined
        ? null
        : {
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
/** RFC 9110 §5.5, obs-text included; no control character but the tab. */
const fieldValue = /^[\t\x20-\x7e\x80-\uffff]*$/;
const parameters = ["url", "method", "header", "cookie", "client"];

/**
 * Reads `?url=…&method=…&header=name:value&cookie=name=value&client=…`; `header` and `cookie` may come several times.
 * All that is wrong is told at once, in sentences that name the parameter.
 */
export function parseExplainQuery(search: URLSearchParams): ParsedExplainQuery {
  const problems: string[] = [];
  for (const name of new Set(search.keys())) {
    if (!parameters.includes(name)) problems.push(`"${name}" is not a parameter; there are ${parameters.join(", ")}.`);
  }
  const single = (name: string): string | undefined => {
    const values = search.getAll(name);
    if (values.length > 1) problems.push(`"${name}" came ${values.length} times; it may come once.`);
    return values[0];
  };
  const url = single("url");
  const method = single("method") ?? "GET";
  const client = single("client");
  const cookies = search.getAll("cookie");
  if (url === undefined) problems.push('"url" is missing, such as url=http://shop.example.com/cart.');
  else if (!isHttpUrl(url)) problems.push('"url" must be an absolute http or https URL without a user name.');
  if (!token.test(method)) problems.push('"method" must be an HTTP method.');
  if (client !== undefined && isIP(client) === 0) problems.push('"client" must be an IP address.');
  if (!cookies.every((cookie) => fieldValue.test(cookie))) problems.push('"cookie" holds a control character.');
  const headers = parseHeaders(search.getAll("header"), problems);
  if (problems.length > 0 || url === undefined) return { kind: "problems", problems };
  const query = { url, method, headers, cookies: cookies.length === 0 ? undefined : cookies.join("; "), client };
  return { kind: "query", query };
}

function isHttpUrl(text: string): boolean {
  // The URL parser would silently drop tabs and newlines, and a request with them could never be sent.
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
    else if (!fieldValue.test(value)) problems.push(`"header" ${name} holds a control character.`);
    else if (name === "cookie") problems.push('"header" must not be a cookie; there is the parameter "cookie".');
    else headers.push([name, value]);
  }
  return headers;
}

const openMetrics = "application/openmetrics-text";
/** By what a scraper says that takes anything, Prometheus' own text is meant. */
const plainTypes: ReadonlySet<string> = new Set(["text/plain", "text/*", "*/*"]);

/**
 * What a scraper's Accept asks for (RFC 9110 §12.5.1): OpenMetrics where it is named and not liked less than the text
 * format. A browser and curl name neither, and get the text.
 */
export function metricsFormat(accept: string | undefined): MetricsFormat {
  let [open, plain] = [0, 0];
  for (const range of (accept ?? "").toLowerCase().split(",")) {
    const [type = "", ...parameters] = range.split(";").map((part) => part.trim());
    if (type === openMetrics && isKnown(parameters)) open = Math.max(open, quality(parameters));
    if (plainTypes.has(type)) plain = Math.max(plain, quality(parameters));
  }
  return open > 0 && open >= plain ? "open-metrics" : "prometheus";
}

/** 0.0.1 was the draft of 1.0.0. */
function isKnown(parameters: readonly string[]): boolean {
  const version = parameters.find((parameter) => parameter.startsWith("version="));
  return version === undefined || /^version="?(?:0\.0\.1|1\.0\.0)"?$/.test(version);
}

function quality(parameters: readonly string[]): number {
  const given = parameters.find((parameter) => parameter.startsWith("q="));
  const value = given === undefined ? 1 : Number(given.slice(2));
  return value >= 0 && value <= 1 ? value : 0;
}
