import { isCurl, parseCurl } from "./parse-curl.ts";
import { type Header, type Note, type PastedRequest, pastedRequest } from "./pasted-request.ts";

export type Pasted =
  | { readonly kind: "nothing" }
  | { readonly kind: "request"; readonly request: PastedRequest }
  | { readonly kind: "unclear"; readonly why: "too-long" | "open-quote" | "response" | "script" | "not-a-request" };

/** Far more than a request that a server takes. */
const maxCharacters = 262_144;

/**
 * Parses pasted text: a curl command, a raw request, header lines, or a URL. Each character is looked
 * at a fixed number of times, and nothing of it is run.
 */
export function parseRequest(text: string): Pasted {
  if (text.length > maxCharacters) return { kind: "unclear", why: "too-long" };
  const given = withoutMarks(text);
  if (given === "") return { kind: "nothing" };
  if (isCurl(given)) return found(parseCurl(given), "open-quote");
  if (/^(?:await +)?fetch\(|^Invoke-WebRequest|^\$session/i.test(given)) return { kind: "unclear", why: "script" };
  if (/^HTTP\/\d/i.test(given)) return { kind: "unclear", why: "response" };
  return found(parseUrl(given) ?? parseRaw(given) ?? parseHeaders(given), "not-a-request");
}

function found(request: PastedRequest | undefined, why: "open-quote" | "not-a-request"): Pasted {
  return request === undefined ? { kind: "unclear", why } : { kind: "request", request };
}

/** Without the prompt before a command, and the marks with which `curl -v` shows what it sends. */
function withoutMarks(text: string): string {
  const given = text.trim();
  if (/^> ?\S/.test(given)) {
    const sent = given.split("\n").filter((line) => line.startsWith(">"));
    return sent
      .map((line) => line.slice(1).trim())
      .join("\n")
      .trim();
  }
  return given.replace(/^[$%#>] +/, "");
}

/** A URL, with or without scheme. `localhost:8080` is one, `x-user-id:42a` is a header. */
function parseUrl(text: string): PastedRequest | undefined {
  if (/\s/.test(text)) return undefined;
  const isUrl =
    /^[a-z][a-z0-9+.-]*:\/\//i.test(text) || /^[^/?#:]+(?::\d+)?(?:[/?#]|$)/.test(text) || text.startsWith("[");
  if (!isUrl) return undefined;
  return pastedRequest({ form: "url", method: "GET", url: text, headers: [], notes: [] });
}

const requestLine = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+) +(\S+)(?: +HTTP\/[\d.]+)?$/;

/** A request as HTTP/1.1 sends it. */
function parseRaw(text: string): PastedRequest | undefined {
  const [first = "", ...rest] = text.split(/\r?\n/);
  const [, method, target] = requestLine.exec(first.trim()) ?? [];
  if (method === undefined || target === undefined || !/^(?:\/|\*$|https?:\/\/)/i.test(target)) return undefined;
  const end = rest.findIndex((line) => line.trim() === "");
  const headers = headersOf(end === -1 ? rest : rest.slice(0, end));
  if (headers === undefined) return undefined;
  const notes: Note[] =
    end === -1 || rest.slice(end).join("").trim() === "" ? [] : [{ kind: "body-left-out", names: [] }];
  return pastedRequest({ form: "raw", method, headers, ...urlOf(target, headers, notes) });
}

/** Header lines alone, or with the fields in which HTTP/2 has method and URL. */
function parseHeaders(text: string): PastedRequest | undefined {
  const headers = headersOf(text.split(/\r?\n/));
  if (headers === undefined) return undefined;
  const pseudo = new Map(headers.filter(([name]) => name.startsWith(":")));
  const rest = headers.filter(([name]) => !name.startsWith(":"));
  const [method = "GET", path] = [pseudo.get(":method"), pseudo.get(":path")];
  const authority = pseudo.get(":authority");
  const scheme = pseudo.get(":scheme");
  if (path === undefined || authority === undefined) {
    return pastedRequest({ form: "headers", method, url: undefined, headers: rest, notes: [] });
  }
  const from =
    scheme === undefined
      ? urlOf(path, [["host", authority]], [])
      : { url: `${scheme}://${authority}${path}`, notes: [] };
  return pastedRequest({ form: "headers", method, headers: rest, ...from });
}

/** Only a target that is a URL has a scheme; http is assumed otherwise. */
function urlOf(target: string, headers: readonly Header[], notes: readonly Note[]) {
  if (/^https?:/i.test(target)) return { url: target, notes };
  const host = headers.find(([name]) => name.toLowerCase() === "host")?.[1];
  if (host === undefined || !target.startsWith("/")) return { url: undefined, notes };
  return { url: `http://${host}${target}`, notes: [...notes, { kind: "scheme-assumed", names: [] } satisfies Note] };
}

const headerLine = /^(:?[!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*:(.*)$/s;

/** Undefined if a line is not a header. A line that begins with a blank continues the previous one (RFC 9112 §5.2). */
function headersOf(lines: readonly string[]): readonly Header[] | undefined {
  const headers: [name: string, value: string][] = [];
  for (const line of lines) {
    if (line.trim() === "") continue;
    const last = headers.at(-1);
    if (/^[ \t]/.test(line) && last !== undefined && !headerLine.test(line.trim())) {
      last[1] += ` ${line.trim()}`;
      continue;
    }
    const [, name, value = ""] = headerLine.exec(line.trim()) ?? [];
    if (name === undefined) return undefined;
    headers.push([name, value.trim()]);
  }
  return headers;
}
