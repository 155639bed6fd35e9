import { isAscii } from "node:buffer";
import { closeSync, openSync, readSync } from "node:fs";
import { PassThrough, Readable } from "node:stream";
import { StringDecoder } from "node:string_decoder";
import { createGunzip } from "node:zlib";

/** Larger ones are mapped and unmapped by the allocator one by one, which costs more than reading them. */
const chunkBytes = 1 << 16;
/** What is unpacked at a time: as much may be lost before a damaged place. */
const unpackedBytes = 1 << 16;
/** An access-log line is at most about 20 KiB; what is longer is another file, and must not fill the memory. */
const lineLimit = 1 << 20;
const newline = "\n";

/** How the reading ended. `cut`: the rest of the input could not be read, and why. */
export type ReadingEnd =
  | { readonly kind: "end" | "stopped" }
  | { readonly kind: "cut"; readonly why: string; readonly isGzip: boolean };

/** Gets one line without its newline; returns whether to continue. Of an overlong line it gets the beginning. */
export type LineTaker = (line: string) => boolean;

/** Opens a log file; `-` is the standard input. An unreadable file is an error of `readLines`. */
export function openLog(path: string): Readable {
  return path === "-" ? process.stdin : Readable.from(chunksOf(path), { objectMode: false, highWaterMark: chunkBytes });
}

/** Read synchronously: there is nothing else to do, and a thread switch per chunk costs more than reading it. */
function* chunksOf(path: string): Generator<Buffer, undefined> {
  const file = openSync(path, "r");
  try {
    for (;;) {
      const chunk = Buffer.allocUnsafeSlow(chunkBytes);
      const length = readSync(file, chunk);
      if (length === 0) return undefined;
      yield chunk.subarray(0, length);
    }
  } finally {
    closeSync(file);
  }
}

/**
 * Gives each line of a stream of UTF-8 text to `take`, until it returns false. Input that begins with gzip's magic bytes
 * is unpacked, several members one after another too. Where input is cut or damaged, the lines before it are given, except for the last few before damage.
 * Rejects if it could not be read at all.
 */
export async function readLines(source: Readable, take: LineTaker): Promise<ReadingEnd> {
  const splitter = new LineSplitter(take);
  const head = await firstBytes(source);
  const isGzip = head[0] === 0x1f && head[1] === 0x8b;
  const plain = isGzip ? createGunzip({ chunkSize: unpackedBytes }) : new PassThrough();
  // Events rather than an async iterator: a stream that fails drops what such an iterator has not read yet.
  const ended = new Promise<ReadingEnd>((resolve) => {
    const fail = (error: Error): void => {
      resolve(splitter.end() ? { kind: "cut", why: error.message, isGzip } : { kind: "stopped" });
    };
    plain.on("data", (chunk: Buffer) => {
      if (!splitter.take(chunk)) resolve({ kind: "stopped" });
    });
    plain.once("end", () => resolve({ kind: splitter.end() ? "end" : "stopped" }));
    plain.on("error", fail);
    source.on("error", fail);
  });
  plain.write(head);
  source.pipe(plain);
  const reading = await ended;
  source.unpipe(plain);
  source.destroy();
  plain.destroy();
  return reading;
}

/** At least two bytes, if there are so many; the stream is paused then. */
async function firstBytes(source: Readable): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let head = Buffer.alloc(0);
  const read = (): void => {
    while (head.length < 2) {
      const chunk: Buffer | null = source.read();
      if (chunk === null) return;
      head = Buffer.concat([head, chunk]);
    }
    resolve();
  };
  source.on("readable", read).once("end", resolve).once("error", reject);
  await promise;
  source.off("readable", read).off("end", resolve).off("error", reject);
  return head;
}

/** Splits text that comes in chunks. After `take` said no, it is not asked again. */
class LineSplitter {
  readonly #take: LineTaker;
  readonly #decoder = new StringDecoder("utf8");
  #rest = "";
  /** Drops what follows the beginning of an overlong line. */
  #skips = false;
  #goesOn = true;

  constructor(take: LineTaker) {
    this.#take = take;
  }

  take(chunk: Buffer): boolean {
    if (!this.#goesOn) return false;
    const text = this.#decode(chunk);
    let from = 0;
    for (let to = text.indexOf(newline); to >= 0; to = text.indexOf(newline, from)) {
      const isWhole = this.#rest === "" && !this.#skips;
      const line = isWhole ? text.slice(from, to) : this.#rest + text.slice(from, to);
      from = to + 1;
      this.#rest = "";
      if (!this.#give(line)) return false;
    }
    this.#keep(text.slice(from));
    return this.#goesOn;
  }

  /** The last line need not end with a newline. */
  end(): boolean {
    const last = this.#rest + this.#decoder.end();
    this.#rest = "";
    if (this.#goesOn && last !== "") this.#give(last);
    return this.#goesOn;
  }

  /** Perch writes ASCII, which Node decodes three times as fast if told. A character cut before it stays cut. */
  #decode(chunk: Buffer): string {
    return isAscii(chunk) ? this.#decoder.end() + chunk.toString("latin1") : this.#decoder.write(chunk);
  }

  #give(line: string): boolean {
    const isRestOfOverlong = this.#skips;
    this.#skips = false;
    if (!isRestOfOverlong) this.#goesOn = this.#take(line);
    return this.#goesOn;
  }

  #keep(text: string): void {
    if (this.#skips) return;
    this.#rest += text;
    if (this.#rest.length <= lineLimit) return;
    this.#goesOn = this.#take(this.#rest.slice(0, lineLimit));
    this.#rest = "";
    this.#skips = true;
  }
}
