import { createReadStream } from "node:fs";
import type { Readable } from "node:stream";
import { StringDecoder } from "node:string_decoder";
import { createGunzip } from "node:zlib";

const chunkBytes = 1 << 20;
/** An access-log line is at most about 20 KiB; what is longer is another file, and must not fill the memory. */
const lineLimit = 1 << 20;
const newline = "\n";

/** How the reading ended. `cut`: the rest of the input could not be read, and why. */
export type ReadingEnd =
  | { readonly kind: "end" | "stopped" }
  | { readonly kind: "cut"; readonly why: string; readonly isGzip: boolean };

/** Gets one line without its newline; returns whether to go on. An overlong line comes as its beginning. */
export type LineTaker = (line: string) => boolean;

/** Opens a log file; `-` is the standard input. An unreadable file is an error of `readLines`. */
export function openLog(path: string): Readable {
  return path === "-" ? process.stdin : createReadStream(path, { highWaterMark: chunkBytes });
}

/**
 * Gives each line of a stream of UTF-8 text to `take`, until it returns false. Input that begins with gzip's magic bytes
 * is unpacked, several members one after another too. Where input is cut or damaged, the lines before it are given.
 * Rejects if nothing could be read at all.
 */
export function readLines(source: Readable, take: LineTaker): Promise<ReadingEnd> {
  const splitter = new LineSplitter(take);
  return new Promise((resolve, reject) => {
    let input: Readable = source;
    let isGzip = false;
    let head: Buffer | undefined = Buffer.alloc(0);
    const end = (reading: ReadingEnd): void => {
      source.destroy();
      input.destroy();
      resolve(reading);
    };
    const feed = (chunk: Buffer): void => {
      if (!splitter.take(chunk)) end({ kind: "stopped" });
    };
    const finish = (): void => end({ kind: splitter.end() ? "end" : "stopped" });
    const fail = (error: NodeJS.ErrnoException): void => {
      if (head !== undefined && !isGzip) return reject(error);
      if (!splitter.end()) return end({ kind: "stopped" });
      end({ kind: "cut", why: error.message, isGzip });
    };
    // Events rather than an async iterator: a stream that fails drops what such an iterator has not read yet.
    const begin = (chunk: Buffer): void => {
      head = head === undefined ? chunk : Buffer.concat([head, chunk]);
      if (head.length < 2) return;
      const first = head;
      head = undefined;
      source.removeListener("data", begin);
      source.removeListener("end", begun);
      isGzip = first[0] === 0x1f && first[1] === 0x8b;
      if (isGzip) {
        const gunzip = createGunzip({ chunkSize: chunkBytes });
        input = gunzip;
        gunzip.on("data", feed).once("end", finish).on("error", fail);
        gunzip.write(first);
        source.pipe(gunzip);
      } else {
        source.on("data", feed).once("end", finish);
        feed(first);
      }
    };
    const begun = (): void => {
      if (head !== undefined) feed(head);
      finish();
    };
    source.on("data", begin).once("end", begun).on("error", fail);
  });
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
    const text = this.#decoder.write(chunk);
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
