import type { PathChange } from "./path-change.ts";
import type { Scheme } from "./route-match.ts";

/** Where a route sends its clients; what is undefined stays as the client asked for it. */
export interface RedirectSpec {
  readonly status: 301 | 302 | 303 | 307 | 308;
  readonly scheme: Scheme | undefined;
  /** Lower case, an IPv6 address in brackets. */
  readonly host: string | undefined;
  readonly port: number | undefined;
  readonly path: PathChange | undefined;
}
