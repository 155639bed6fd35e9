import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { Answer } from "../judge.ts";

/** The read buffer of all connections, consumed before the next read. */
const readBuffer = Buffer.allocUnsafe(1024 * 1024);
const headEnd = Buffer.from("\r\n\r\n");

interface Listener {
  answered(connection: RawConnection, answer: Answer, head: string): void;
  /** The connection ended or failed. */
  ended(connection: RawConnection): void;
}

/** A minimal client connection: one request at a time, the response's body counted and dropped. */
export class RawConnection {
  readonly #socket: Socket;
  readonly #listener: Listener;
  readonly #opened = Promise.withResolvers<void>();
  /** The bytes of an incomplete head. */
  #partialHead = "";
  #head = "";
  #body: BodyCounter | undefined;
  #closedByUs = false;

  constructor({ port, tls }: { readonly port: number; readonly tls: boolean }, listener: Listener) {
    this.#listener = listener;
    const options = {
      host: "127.0.0.1",
      port,
      noDelay: true,
      onread: {
        buffer: readBuffer,
        callback: (size: number) => {
          this.#read(readBuffer.subarray(0, size));
          return true;
        },
      },
    };
    // Verification of the certificate is not measured.
    this.#socket = tls ? connectTls({ ...options, rejectUnauthorized: false }) : connect(options);
    this.#socket.once(tls ? "secureConnect" : "connect", () => this.#opened.resolve());
    this.#socket.on("error", () => this.#socket.destroy());
    this.#socket.once("close", () => {
      this.#opened.reject(new Error("the proxy refused a connection"));
      if (!this.#closedByUs) this.#listener.ended(this);
    });
    this.#opened.promise.catch(() => {});
  }

  get opened(): Promise<void> {
    return this.#opened.promise;
  }

  send(head: string, body: Buffer | undefined): void {
    if (body === undefined) {
      this.#socket.write(head, "latin1");
      return;
    }
    this.#socket.cork();
    this.#socket.write(head, "latin1");
    this.#socket.write(body);
    this.#socket.uncork();
  }

  close(): void {
    this.#closedByUs = true;
    this.#socket.destroy();
  }

  #read(bytes: Buffer): void {
    if (this.#body === undefined) {
      const end = this.#partialHead === "" ? bytes.indexOf(headEnd) : -1;
      if (end === -1) {
        this.#readRareHead(bytes);
        return;
      }
      this.#beginBody(bytes.toString("latin1", 0, end), bytes.subarray(end + headEnd.length));
      return;
    }
    this.#count(this.#body, bytes);
  }

  /** A head in pieces, perhaps cut inside its end. */
  #readRareHead(bytes: Buffer): void {
    const text = this.#partialHead + bytes.toString("latin1");
    const end = text.indexOf("\r\n\r\n");
    if (end === -1) {
      this.#partialHead = text;
      return;
    }
    this.#partialHead = "";
    this.#beginBody(text.slice(0, end), Buffer.from(text.slice(end + headEnd.length), "latin1"));
  }

  #beginBody(head: string, bytes: Buffer): void {
    this.#head = head;
    const length = headerOf(head, "content-length");
    this.#body = length === undefined ? new ChunkCounter() : new LengthCounter(Number(length));
    this.#count(this.#body, bytes);
  }

  #count(body: BodyCounter, bytes: Buffer): void {
    body.add(bytes);
    if (!body.complete) return;
    const head = this.#head;
    this.#body = undefined;
    this.#head = "";
    const answer: Answer = {
      status: Number(head.slice(9, 12)),
      version: headerOf(head, "x-version"),
      setsCookie: headerOf(head, "set-cookie") !== undefined,
      bodyBytes: body.bytes,
    };
    this.#listener.answered(this, answer, head);
  }
}

const patterns = new Map(
  ["content-length", "x-version", "set-cookie"].map((name) => [name, new RegExp(`\\r\\n${name}: *([^\\r]*)`, "i")]),
);

function headerOf(head: string, name: string): string | undefined {
  return patterns.get(name)?.exec(head)?.[1];
}

interface BodyCounter {
  readonly bytes: number;
  readonly complete: boolean;
  add(bytes: Buffer): void;
}

class LengthCounter implements BodyCounter {
  bytes = 0;
  readonly #length: number;

  constructor(length: number) {
    this.#length = length;
  }

  get complete(): boolean {
    return this.bytes >= this.#length;
  }

  add(bytes: Buffer): void {
    this.bytes += bytes.length;
  }
}

/** Counts the bytes in chunks; trailers are not expected. */
class ChunkCounter implements BodyCounter {
  bytes = 0;
  complete = false;
  /** Of the current chunk and its CRLF. */
  #left = 0;
  #line = "";

  add(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; ) {
      if (this.#left > 0) {
        const skipped = Math.min(this.#left, bytes.length - at);
        this.#left -= skipped;
        at += skipped;
        continue;
      }
      const lineEnd = bytes.indexOf("\n", at);
      this.#line += bytes.toString("latin1", at, lineEnd === -1 ? bytes.length : lineEnd);
      if (lineEnd === -1) return;
      at = lineEnd + 1;
      this.#endLine();
    }
  }

  #endLine(): void {
    const line = this.#line.trimEnd();
    this.#line = "";
    // The last chunk is followed by an empty line.
    if (line === "") {
      this.complete = true;
      return;
    }
    const size = Number.parseInt(line, 16);
    this.bytes += size;
    this.#left = size === 0 ? 0 : size + 2;
  }
}
