/** What becomes of a path: another one whole, or another prefix in place of the one that the route matched. */
export type PathChange =
  | { readonly kind: "path"; readonly path: string }
  /** Both without a trailing slash: the empty text is the prefix of every path. */
  | { readonly kind: "prefix"; readonly from: string; readonly to: string };

/** Puts the new prefix in place of the old one by segment, so that `/api` and `/api/x` become `/new` and `/new/x`. */
export function changePath(change: PathChange, path: string): string {
  if (change.kind === "path") return change.path;
  const { from, to } = change;
  if (!isBelow(from, path)) return path;
  const changed = to + path.slice(from.length);
  return changed === "" ? "/" : changed;
}

/** Whether a path is this prefix or below it; the prefix has no trailing slash. */
function isBelow(prefix: string, path: string): boolean {
  return path.startsWith(prefix) && (path.length === prefix.length || path.charCodeAt(prefix.length) === slash);
}

const slash = 0x2f;

/** `/api/` and `/api` are one prefix; that of everything, `/`, becomes the empty text. */
export function withoutTrailingSlash(path: string): string {
  return path.endsWith("/") ? path.slice(0, -1) : path;
}
