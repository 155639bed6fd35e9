import { parseAuthority } from "./authority.ts";
import { type RequestHead, repeated } from "./request-head.ts";

/** Several values are several header lines; undefined means that the header is absent. */
type HeaderValues = string | readonly string[] | undefined;

/** A request as the library and the command line receive it. */
export interface PlainRequest {
  /** Default: GET. */
  readonly method?: string | undefined;
  /** A path with an optional query, or an absolute http(s) URL, whose host takes precedence over `Host`. */
  readonly url: string;
  /** By case-insensitive name: an object, or pairs, such as fetch's `Headers`. */
  readonly headers?: Readonly<Record<string, HeaderValues>> | Iterable<readonly [string, HeaderValues]> | undefined;
  /** The scheme that the client used. Default: the URL's; http for a path. */
  readonly scheme?: "http" | "https" | undefined;
}

/** RFC 9110 §5.6.2. */
const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** A request head made from a `PlainRequest` instead of a connection. */
export class PlainHead implements RequestHead {
  readonly method: string;
  readonly target: string;
  readonly path: string;
  readonly query: string;
  readonly authority: string;
  readonly host: string;
  readonly cookies: string | undefined;
  readonly scheme: "http" | "https";
  readonly #headers: ReadonlyMap<string, readonly string[]>;

  private constructor(method: string, form: UrlForm, host: string, headers: ReadonlyMap<string, readonly string[]>) {
    const mark = form.target.indexOf("?");
    this.method = method;
    this.target = form.target;
    this.path = mark === -1 ? form.target : form.target.slice(0, mark);
    this.query = mark === -1 ? "" : form.target.slice(mark + 1);
    this.authority = form.authority;
    this.host = host;
    this.scheme = form.scheme;
    this.cookies = headers.get("cookie")?.join("; ");
    this.#headers = headers;
  }

  /** Returns a problem, as text for users, for a request that a proxy would answer with 400. */
  static read(request: PlainRequest): PlainHead | { readonly problem: string } {
    const { method = "GET", url } = request;
    if (!token.test(method)) return { problem: `${JSON.stringify(method)} is not an HTTP method` };
    const headers = readHeaders(request.headers ?? {});
    if ("problem" in headers) return headers;
    const hosts = headers.get("host") ?? [];
    if (hosts.length > 1) return { problem: "the request has more than one Host header" };
    const form = urlForm(url, hosts[0] ?? "", request.scheme);
    if (form === undefined) {
      return { problem: `${JSON.stringify(url)} is neither a path that starts with "/" nor an http(s) URL` };
    }
    const authority = form.authority === "" ? { host: "" } : parseAuthority(form.authority);
    if (authority === undefined) return { problem: `${JSON.stringify(form.authority)} is not a host` };
    return new PlainHead(method, form, authority.host, headers);
  }

  header(name: string): string | undefined | typeof repeated {
    const lines = this.#headers.get(name);
    return lines !== undefined && lines.length > 1 ? repeated : lines?.[0];
  }

  headerLines(name: string): readonly string[] {
    return this.#headers.get(name) ?? [];
  }
}

interface UrlForm {
  readonly target: string;
  readonly authority: string;
  readonly scheme: "http" | "https";
}

const targetText = /^[\x21-\x7e\x80-\uffff]+$/;
const absoluteUrl = /^(https?):\/\/([^/?#]+)([^#]*)/i;

function urlForm(url: string, host: string, scheme: PlainRequest["scheme"]): UrlForm | undefined {
  if (!targetText.test(url)) return undefined;
  if (url.startsWith("/")) return { target: withoutFragment(url), authority: host, scheme: scheme ?? "http" };
  const [, written = "", authority, rest = ""] = absoluteUrl.exec(url) ?? [];
  if (authority === undefined) return undefined;
  const own = written.toLowerCase() === "https" ? "https" : "http";
  return { target: rest.startsWith("/") ? rest : `/${rest}`, authority, scheme: scheme ?? own };
}

/** Clients do not send the fragment. */
function withoutFragment(url: string): string {
  const mark = url.indexOf("#");
  return mark === -1 ? url : url.slice(0, mark);
}

/** RFC 9110 §5.5, with obs-text: no control characters except tab. */
const fieldValue = /^[\t\x20-\x7e\x80-\uffff]*$/;

function readHeaders(
  given: NonNullable<PlainRequest["headers"]>,
): ReadonlyMap<string, readonly string[]> | { readonly problem: string } {
  const headers = new Map<string, readonly string[]>();
  for (const [name, values] of Symbol.iterator in given ? given : Object.entries(given)) {
    if (values === undefined) continue;
    if (!token.test(name)) return { problem: `${JSON.stringify(name)} is not a header name` };
    const lines = typeof values === "string" ? [values] : values;
    if (!lines.every((line) => fieldValue.test(line)))
      return { problem: `header ${name} contains a control character` };
    const key = name.toLowerCase();
    headers.set(key, [...(headers.get(key) ?? []), ...lines.map(withoutBlanks)]);
  }
  return headers;
}

/** Blanks around a value are not part of it (RFC 9110 §5.5). */
function withoutBlanks(line: string): string {
  return line.replace(/^[\t ]+/, "").replace(/[\t ]+$/, "");
}
