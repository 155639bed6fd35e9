/** One server-sent event (HTML Living Standard §9.2). */
export interface ServerEvent {
  readonly event: string;
  readonly data: string;
  /** Undefined where the event has none. */
  readonly id: string | undefined;
}

/** Longer lines are not ours. */
const maxPending = 16 * 1024 * 1024;

/**
 * Splits a stream of text into events. Used in place of EventSource, which sends no Authorization header and hides the
 * status of a refusal.
 */
export class SseReader {
  #pending = "";
  #event = "message";
  #data: string[] = [];
  #id: string | undefined;

  /** The events that end with this piece. */
  read(piece: string): readonly ServerEvent[] {
    const lines = (this.#pending + piece).split("\n");
    this.#pending = lines.pop() ?? "";
    if (this.#pending.length > maxPending) throw new RangeError("a line of the stream is too long");
    return lines.flatMap((line) => this.#line(line.endsWith("\r") ? line.slice(0, -1) : line) ?? []);
  }

  #line(line: string): ServerEvent | undefined {
    if (line === "") return this.#end();
    const colon = line.indexOf(":");
    if (colon === 0) return undefined;
    const name = colon === -1 ? line : line.slice(0, colon);
    const value = colon === -1 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "event") this.#event = value;
    else if (name === "data") this.#data.push(value);
    else if (name === "id") this.#id = value;
    return undefined;
  }

  #end(): ServerEvent | undefined {
    const ended = { event: this.#event, data: this.#data.join("\n"), id: this.#id };
    const isEmpty = this.#data.length === 0;
    this.#event = "message";
    this.#data = [];
    this.#id = undefined;
    return isEmpty ? undefined : ended;
  }
}
