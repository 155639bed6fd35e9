/** One server-sent event. */
export interface ServerEvent {
  /** The last id so far; empty before any. An event without data tells nothing but this. */
  readonly id: string;
  readonly type: string;
  /** Undefined without data. */
  readonly data: string | undefined;
}

/** Larger than any event of Perch: a server that sends more is not Perch. */
const maxCharacters = 4_194_304;

/**
 * Reads a stream of server-sent events (HTML Living Standard, 9.2.6), but for `retry` and a byte order mark. Rejects if
 * the stream breaks, or if an event is beyond any measure.
 */
export async function* parseEvents(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<ServerEvent, undefined> {
  const decoder = new TextDecoder();
  let rest = "";
  let id = "";
  let type = "message";
  let data: string[] = [];
  for await (const chunk of chunks) {
    rest += decoder.decode(chunk, { stream: true });
    // A CR at the end may be half of a line end.
    const lines = rest.split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop() ?? "";
    if (rest.length > maxCharacters) throw new Error("an event is too long");
    for (const line of lines) {
      const [, name = "", value = ""] = /^([^:]*):? ?(.*)$/s.exec(line) ?? [];
      if (name === "id") id = value;
      else if (name === "event") type = value;
      else if (name === "data") data.push(value);
      if (data.length > maxCharacters / 1_024) throw new Error("an event is too long");
      if (line !== "") continue;
      yield { id, type, data: data.length === 0 ? undefined : data.join("\n") };
      type = "message";
      data = [];
    }
  }
  return undefined;
}
