import type { Socket } from "node:net";
import { Duplex } from "node:stream";

/** Hears of every octet that crosses, once the connection is a tunnel. */
export interface TunnelBytes {
  bytesReceived: number;
  bytesSent: number;
}

/**
 * What http-proxy-3 is given in place of the client's socket, for one attempt. It ends, destroys and listens on the
 * socket it has at every failure, so with the real one a refused endpoint would cost the client its connection, and each
 * retry would leave more listeners behind. The stand-in is thrown away with its attempt instead.
 *
 * What is written to it goes to the client: first the head of the 101, then the tunnel. Nothing is read from the client
 * before `open`.
 */
export class UpgradeStandIn extends Duplex {
  readonly #client: Socket;
  readonly #bytes: TunnelBytes;
  #headWritten = false;
  #opened = false;

  constructor(client: Socket, bytes: TunnelBytes) {
    super({ allowHalfOpen: true });
    this.#client = client;
    this.#bytes = bytes;
  }

  /** Lets the client's octets through: `early` ones first, which came before the upstream had agreed. */
  open(early: readonly Buffer[]): void {
    this.#opened = true;
    for (const chunk of early) this.#onData(chunk);
    this.#client.on("data", this.#onData).on("end", this.#onEnd);
  }

  override _read(): void {
    if (this.#opened) this.#client.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    // http-proxy-3 writes the head of the 101 whole and first, and as UTF-8, where its octets are Latin-1 and must arrive
    // as they came. It is no part of what the tunnel carried.
    const octets = this.#headWritten ? chunk : Buffer.from(chunk.toString("utf8"), "latin1");
    if (this.#headWritten) this.#bytes.bytesSent += chunk.length;
    this.#headWritten = true;
    if (this.#client.write(octets)) done();
    else this.#client.once("drain", done);
  }

  override _final(done: () => void): void {
    this.#client.end();
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#client.off("data", this.#onData).off("end", this.#onEnd);
    done(error);
  }

  // The rest of a socket's interface that http-proxy-3 calls. The tunnel sets up the real socket itself.
  destroySoon(): void {
    this.end();
  }

  setTimeout(): this {
    return this;
  }

  setNoDelay(): this {
    return this;
  }

  setKeepAlive(): this {
    return this;
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#bytes.bytesReceived += chunk.length;
    if (!this.push(chunk)) this.#client.pause();
  };

  readonly #onEnd = (): void => {
    this.push(null);
  };
}
