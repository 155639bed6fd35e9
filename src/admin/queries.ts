import { isIP } from "node:net";
import type { MetricsFormat } from "../observe/prometheus.ts";
import type { ExplainQuery } from "./api.ts";
import { preferences } from "./preferences.ts";

export type ParsedExplainQuery =
  | { readonly kind: "query"; readonly query: ExplainQuery }
  | { readonly kind: "problems"; readonly problems: readonly string[] };

/** RFC 9110 §5.6.2. */
const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** RFC 9110 §5.5, with obs-text; of control characters only the tab. */
const fieldValue = /^[\t\x20-\x7e\x80-\uffff]*$/;
export const explainParameters = ["url", "method", "header", "cookie", "client", "listener"] as const;

/**
 * Parses `?url=…&method=…&header=name:value&cookie=name=value&client=…&listener=…`; `header` and `cookie` may be repeated. Returns
 * all problems at once.
 */
export function parseExplainQuery(search: URLSearchParams): ParsedExplainQuery {
  const problems: string[] = [];
  for (const name of new Set(search.keys())) {
    if (!(explainParameters as readonly string[]).includes(name))
      problems.push(`Unknown parameter "${name}". Supported: ${explainParameters.join(", ")}.`);
  }
  const single = (name: string): string | undefined => {
    const values = search.getAll(name);
    if (values.length > 1) problems.push(`"${name}" is given ${values.length} times; only once is allowed.`);
    return values[0];
  };
  const url = single("url");
  const method = single("method") ?? "GET";
  const client = single("client");
  const listener = single("listener");
  const cookies = search.getAll("cookie");
  if (url === undefined) problems.push('"url" is missing. Example: url=http://shop.example.com/cart');
  else if (!isHttpUrl(url)) problems.push('"url" must be an absolute http or https URL without a user name.');
  if (!token.test(method)) problems.push('"method" must be an HTTP method.');
  if (client !== undefined && isIP(client) === 0) problems.push('"client" must be an IP address.');
  if (!cookies.every((cookie) => fieldValue.test(cookie))) problems.push('"cookie" contains a control character.');
  const headers = parseHeaders(search.getAll("header"), problems);
  if (problems.length > 0 || url === undefined) return { kind: "problems", problems };
  const query = {
    url,
    method,
    headers,
    cookies: cookies.length === 0 ? undefined : cookies.join("; "),
    client,
    listener,
  };
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
  for (const { value, parameters, quality } of preferences(accept)) {
    if (value === openMetrics && isKnownVersion(parameters)) open = Math.max(open, quality);
    if (textTypes.has(value)) plain = Math.max(plain, quality);
  }
  return open > 0 && open >= plain ? "open-metrics" : "prometheus";
}

/** 0.0.1 is the draft of 1.0.0. */
function isKnownVersion(parameters: readonly string[]): boolean {
  const version = parameters.find((parameter) => parameter.startsWith("version="));
  return version === undefined || /^version="?(?:0\.0\.1|1\.0\.0)"?$/.test(version);
}
