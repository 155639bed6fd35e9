/** Whether the path is the prefix or below it, by segment. The prefix has no trailing slash; empty, it is that of all. */
export function isBelow(prefix: string, path: string): boolean {
  return path.startsWith(prefix) && (path.length === prefix.length || path.charCodeAt(prefix.length) === slash);
}

const slash = 0x2f;

/** `/api/` and `/api` are the same prefix; `/` becomes the empty string. */
export function withoutTrailingSlash(path: string): string {
  return path.endsWith("/") ? path.slice(0, -1) : path;
}
