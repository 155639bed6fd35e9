/**
 * Makes a line of JSON pure printable ASCII. JSON itself escapes quotes, C0 controls and lone surrogates, but leaves
 * octets that some readers take for more: U+2028 and U+0085 end a line, DEL and C1 steer terminals, bidirectional
 * marks reorder what a human sees. Outside of strings JSON is ASCII, so escaping what is left is always valid.
 */
export function asciiJson(line: string): string {
  // Two native scans; a regular expression over the whole line costs five times as much.
  if (Buffer.byteLength(line) === line.length && !line.includes("\x7f")) return line;
  return line.replace(/[\x7f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** Writes wall-clock milliseconds as RFC 3339 in UTC; the text of the second is kept, since formatting it is slow. */
export class TimeText {
  #second = Number.NaN;
  #prefix = "";

  of(nowMs: number): string {
    const second = Math.floor(nowMs / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#prefix = new Date(second * 1000).toISOString().slice(0, -"000Z".length);
    }
    return `${this.#prefix}${String(Math.floor(nowMs - second * 1000)).padStart(3, "0")}Z`;
  }
}
