/** The responses of the upstreams, by path. */

export type PageName = "1KiB" | "64KiB" | "10MiB" | "chunked" | "upload" | "slow";

export interface Page {
  readonly name: PageName;
  readonly bodyBytes: number;
  /** With chunked framing each chunk has this many bytes; otherwise there is a Content-Length. */
  readonly chunkBytes: number | undefined;
  /** The delay of its response; the upstreams of bench/upstream.ts have none. */
  readonly delayMs: number;
}

const kibibyte = 1024;

/** The first is for every path without a page. */
export const pages: readonly [Page, ...Page[]] = [
  { name: "1KiB", bodyBytes: kibibyte, chunkBytes: undefined, delayMs: 0 },
  { name: "64KiB", bodyBytes: 64 * kibibyte, chunkBytes: undefined, delayMs: 0 },
  { name: "10MiB", bodyBytes: 10 * kibibyte * kibibyte, chunkBytes: undefined, delayMs: 0 },
  { name: "chunked", bodyBytes: 16 * kibibyte, chunkBytes: 4 * kibibyte, delayMs: 0 },
  { name: "slow", bodyBytes: kibibyte, chunkBytes: undefined, delayMs: 1_000 },
  { name: "upload", bodyBytes: kibibyte, chunkBytes: undefined, delayMs: 0 },
];

export function pagePath(name: PageName): string {
  return `/api/${name}`;
}

/** The expected version, which the upstream compares with its own; new visitors' requests have none. */
export const wantedHeader = "x-wanted";
