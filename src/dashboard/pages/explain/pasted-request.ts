export type Header = readonly [name: string, value: string];

/** A request as it was pasted. */
export interface PastedRequest {
  readonly form: "curl" | "raw" | "headers" | "url";
  readonly method: string;
  /** Absolute; undefined if what was pasted does not tell, so that it must be asked for. */
  readonly url: string | undefined;
  /** Names in lower case, without Host and Cookie. */
  readonly headers: readonly Header[];
  readonly cookies: readonly string[];
  readonly notes: readonly Note[];
}

/** Something in the text that the answer does not consider, or what was assumed. */
export interface Note {
  readonly kind:
    | "unknown-options"
    | "more-urls"
    | "more-commands"
    | "files-not-read"
    | "expansion"
    | "body-left-out"
    | "scheme-assumed";
  /** What it is about, such as options; may be empty. */
  readonly names: readonly string[];
}

/** The parts of a request before they are put in order. */
export interface RequestParts {
  readonly form: PastedRequest["form"];
  readonly method: string;
  /** As written; an absolute URL or a URL without scheme. */
  readonly url: string | undefined;
  readonly headers: readonly Header[];
  readonly cookies?: readonly string[];
  readonly notes: readonly Note[];
}

/** As curl would send it: Host stands for the URL's host, a user in the URL becomes a header. */
export function pastedRequest({ form, method, url, headers, cookies = [], notes }: RequestParts): PastedRequest {
  const own = headers.map(([name, value]): Header => [name.toLowerCase(), value.trim()]);
  const found = url === undefined ? undefined : absolute(url);
  const named = new Set(own.map(([name]) => name));
  const host = own.find(([name]) => name === "host")?.[1];
  const user = found?.user === undefined || named.has("authorization") ? [] : [basic(found.user)];
  return {
    form,
    method,
    url: found && found.scheme + (host ?? found.host) + found.rest,
    headers: [...own.filter(([name]) => name !== "host" && name !== "cookie"), ...user],
    cookies: [...own.flatMap(([name, value]) => (name === "cookie" ? [value] : [])), ...cookies],
    notes,
  };
}

/** `user:password` as a header. */
export function basic(user: string): Header {
  return ["authorization", `Basic ${btoa(binary(user))}`];
}

/** UTF-8 bytes as one character each, which is how HTTP parsers deliver header values. */
export function binary(text: string): string {
  return Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join("");
}

const schemes: ReadonlyMap<string, string> = new Map([
  ["ws", "http://"],
  ["wss", "https://"],
]);

/** Without scheme it is http, as for curl. Sockets begin as requests. What a client does not send is left out. */
function absolute(url: string) {
  const text = url.toWellFormed().replace(/[\u0080-\u{10ffff}]+/gu, encodeURIComponent);
  const [, scheme = "http", authority = "", rest = ""] =
    /^(?:([A-Za-z][A-Za-z0-9+.-]*):\/\/)?([^/?#]*)([^#]*)/.exec(text) ?? [];
  const lower = scheme.toLowerCase();
  const at = authority.lastIndexOf("@");
  return {
    scheme: schemes.get(lower) ?? `${lower}://`,
    host: authority.slice(at + 1),
    user: at === -1 ? undefined : decoded(authority.slice(0, at)),
    rest: rest.startsWith("/") ? rest : `/${rest}`,
  };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
