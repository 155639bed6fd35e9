import { isIP } from "node:net";
import type { ExplainQuery } from "./view.ts";

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
