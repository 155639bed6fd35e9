import { once } from "node:events";
import net, { type Socket } from "node:net";
import { freeAfterTest } from "./freed.ts";

export const frameTypes = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  push: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;
export const endStream = 1;
export const endHeaders = 4;

/** A received frame. */
export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

export function frame(type: number, flags: number, stream: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** Fields in the simplest form of HPACK: literals without indexing (RFC 7541 §6.2.2). */
export function fieldBlock(fields: readonly string[]): Buffer {
  const parts: Buffer[] = [];
  for (let i = 0; i < fields.length; i += 2) {
    parts.push(Buffer.from([0]), text(fields[i] ?? ""), text(fields[i + 1] ?? ""));
  }
  return Buffer.concat(parts);
}

/** A length in seven bits, and its rest in further bytes (RFC 7541 §5.1). */
function text(value: string): Buffer {
  const bytes = Buffer.from(value, "latin1");
  if (bytes.length < 127) return Buffer.concat([Buffer.from([bytes.length]), bytes]);
  const length = [127];
  let rest = bytes.length - 127;
  for (; rest >= 128; rest >>= 7) length.push((rest & 127) | 128);
  return Buffer.concat([Buffer.from([...length, rest]), bytes]);
}

export const request = (...fields: readonly string[]): Buffer =>
  fieldBlock([":method", "GET", ":scheme", "http", ":path", "/", ":authority", "shop.example", ...fields]);

export const code32 = (code: number): Buffer => Buffer.from([0, 0, 0, code]);

/** A client that writes HTTP/2 frames, for those that no library sends. */
export class FrameClient {
  readonly socket: Socket;
  readonly frames: Frame[] = [];
  /** Codes of received GOAWAYs. */
  readonly goneAway: number[] = [];
  readonly closed: Promise<void>;
  #bytes = Buffer.alloc(0);

  private constructor(socket: Socket) {
    this.socket = socket;
    const { promise, resolve } = Promise.withResolvers<void>();
    socket.once("close", () => resolve());
    this.closed = promise;
    socket.on("error", () => {});
    socket.on("data", (chunk: Buffer) => this.#read(chunk));
  }

  /** Sends the preface and empty settings. */
  static async connect(port: number): Promise<FrameClient> {
    const socket = net.connect({ port, host: "127.0.0.1" });
    await once(socket, "connect");
    const client = new FrameClient(socket);
    freeAfterTest(async () => socket.destroy());
    client.send(Buffer.from(preface), frame(frameTypes.settings, 0, 0));
    return client;
  }

  send(...frames: readonly Buffer[]): void {
    if (this.socket.writable) this.socket.write(Buffer.concat(frames));
  }

  /** The first frame of this type on this stream, once received; undefined where the connection closes first. */
  async frame(type: number, stream: number): Promise<Frame | undefined> {
    const wanted = () => this.frames.find((one) => one.type === type && one.stream === stream);
    while (wanted() === undefined && !this.socket.destroyed) {
      await Promise.race([once(this.socket, "data").catch(() => {}), this.closed]);
    }
    return wanted();
  }

  #read(chunk: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    while (this.#bytes.length >= 9) {
      const length = this.#bytes.readUIntBE(0, 3);
      if (this.#bytes.length < 9 + length) return;
      const payload = this.#bytes.subarray(9, 9 + length);
      const type = this.#bytes[3] ?? 0;
      this.frames.push({ type, flags: this.#bytes[4] ?? 0, stream: this.#bytes.readUInt32BE(5), payload });
      if (type === frameTypes.goaway) this.goneAway.push(payload.readUInt32BE(4));
      this.#bytes = this.#bytes.subarray(9 + length);
    }
  }
}
