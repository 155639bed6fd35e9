import { binary, type PastedRequest } from "./pasted-request.ts";

/** The body of `POST /api/explain`: a body, since what is pasted may have secrets, and proxies log URLs. */
export interface ExplainBody {
  readonly url: string;
  readonly method: string;
  readonly header: readonly string[];
  readonly cookie: readonly string[];
  readonly client?: string;
}

export type ExplainQuestion =
  | { readonly kind: "body"; readonly body: ExplainBody }
  /** No server would read such a request. `largest`: what takes most of it. */
  | { readonly kind: "too-large"; readonly bytes: number; readonly largest: readonly string[] };

export const maxBytes = 64 * 1024;

/** The question to the server. */
export function explainQuestion(request: PastedRequest, url: string, client: string): ExplainQuestion {
  const { method, headers, cookies } = request;
  const sizes: (readonly [string, number])[] = [
    ["URL", url.length],
    ["Cookie", cookies.join().length],
    ...headers.map(([name, value]) => [name, name.length + value.length] as const),
  ];
  const bytes = sizes.reduce((sum, [, size]) => sum + size, 0);
  if (bytes > maxBytes) {
    const largest = sizes.sort(([, one], [, other]) => other - one).slice(0, 3);
    return { kind: "too-large", bytes, largest: largest.flatMap(([name, size]) => (size > 256 ? [name] : [])) };
  }
  const header = headers.map(([name, value]) => `${name}:${binary(value)}`);
  const body = { url, method, header, cookie: cookies.map(binary), ...(client !== "" && { client }) };
  return { kind: "body", body };
}
