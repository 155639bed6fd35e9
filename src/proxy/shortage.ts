/** This process, or its machine, has no descriptor, port or memory left for a connection (connect(2), socket(2)). */
const codes: ReadonlySet<unknown> = new Set(["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "EADDRNOTAVAIL"]);

/** Whether a connection could not be made for a reason of our own: no endpoint may be blamed, or taken out, for it. */
export function isShortage(error: Error & { readonly code?: unknown }): boolean {
  return codes.has(error.code);
}
