import { binary, type PastedRequest } from "./pasted-request.ts";

export type ExplainPath =
  | { readonly kind: "path"; readonly path: string }
  /** No server would read it. `largest`: what takes most of it. */
  | { readonly kind: "too-large"; readonly bytes: number; readonly largest: readonly string[] };

export const maxBytes = 12 * 1024;

/** The question to the server. */
export function explainPath({ method, headers, cookies }: PastedRequest, url: string, client: string): ExplainPath {
  const search = new URLSearchParams({ url, method });
  for (const [name, value] of headers) search.append("header", `${name}:${binary(value)}`);
  for (const cookie of cookies) search.append("cookie", binary(cookie));
  if (client !== "") search.append("client", client);
  const path = `/api/explain?${search}`;
  // All of it is ASCII, so that characters are bytes.
  if (path.length <= maxBytes) return { kind: "path", path };
  const sizes: (readonly [string, number])[] = [
    ["URL", url.length],
    ["Cookie", cookies.join().length],
    ...headers.map(([name, value]) => [name, value.length] as const),
  ];
  const largest = sizes.sort(([, one], [, other]) => other - one).slice(0, 3);
  return {
    kind: "too-large",
    bytes: path.length,
    largest: largest.flatMap(([name, size]) => (size > 256 ? [name] : [])),
  };
}
