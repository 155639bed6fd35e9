/** What the reader chose before, in this browser; undefined where it keeps nothing, as where storage is forbidden. */
export function keptChoice(name: string): string | undefined {
  try {
    return globalThis.localStorage?.getItem(name) ?? undefined;
  } catch {
    return undefined;
  }
}

export function keepChoice(name: string, chosen: string): void {
  try {
    globalThis.localStorage?.setItem(name, chosen);
  } catch {
    // It holds until the page is closed.
  }
}
