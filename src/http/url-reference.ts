/**
 * References in a Location as browsers read them (WHATWG URL): a backslash is a slash, and tabs and line breaks are
 * skipped.
 */

/** `//host`, `/\host`: a reference that names another host. */
export function isNetworkPath(reference: string): boolean {
  return /^[\t\n\r]*[/\\][\t\n\r]*[/\\]/.test(reference);
}

/** A path that was changed, as a reference that no client reads as another host: it starts with a single slash. */
export function localReference(path: string): string {
  return path.replace(/^(?:[\t\n\r]*[/\\])+[\t\n\r]*|^/, "/");
}

/** A request's path as a reference for a client: without backslashes, and starting with a single slash. */
export function localPath(path: string): string {
  return localReference(path.replaceAll("\\", "%5C"));
}
