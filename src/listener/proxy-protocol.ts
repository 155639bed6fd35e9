import { isIPv4, isIPv6, type Socket } from "node:net";
import type { ProxyRejection } from "../observe/listener-stats.ts";

/** The addresses in a header: those of the connection that its sender accepted. */
export interface CarriedEnds {
  /** Undefined if that was not a TCP connection, or unknown. The sender's own address must not be used in its place. */
  readonly remoteAddress: string | undefined;
  readonly localPort: number | undefined;
}

/** The result of parsing the bytes received so far. */
export type ProxyHeader =
  | { readonly kind: "incomplete" }
  | { readonly kind: "malformed" }
  /** `carried` is undefined for LOCAL: the sender itself is the client. */
  | { readonly kind: "complete"; readonly length: number; readonly carried: CarriedEnds | undefined };

/** Maximum bytes of a version 1 header, including CRLF. */
const maxLineBytes = 107;
/** Version 2 allows 64 KiB, but headers have a few hundred bytes even with all extensions that proxies add. */
const maxBinaryBytes = 4_096;

const signature = Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1");
const fixedBytes = 16;
const lineStart = Buffer.from("PROXY ", "latin1");

const incomplete: ProxyHeader = Object.freeze({ kind: "incomplete" });
const malformed: ProxyHeader = Object.freeze({ kind: "malformed" });
const unknownEnds: CarriedEnds = Object.freeze({ remoteAddress: undefined, localPort: undefined });

/** Parses a PROXY protocol header, version 1 or 2, at the start of `bytes`. Strict: any deviation is `malformed`. */
export function readProxyHeader(bytes: Buffer): ProxyHeader {
  if (startsLike(bytes, signature)) return bytes.length < fixedBytes ? incomplete : readBinary(bytes);
  return startsLike(bytes, lineStart) ? readLine(bytes) : malformed;
}

/** Whether `bytes` starts with `wanted`, or with as much of it as has arrived. */
function startsLike(bytes: Buffer, wanted: Buffer): boolean {
  const length = Math.min(bytes.length, wanted.length);
  return bytes.compare(wanted, 0, length, 0, length) === 0;
}

function readLine(bytes: Buffer): ProxyHeader {
  const end = bytes.subarray(0, maxLineBytes).indexOf("\r\n");
  if (end < 0) {
    // A lone CR or LF is malformed, but the LF of a final CR may still arrive.
    const text = bytes.toString("latin1", 0, Math.min(bytes.length, maxLineBytes)).replace(/\r$/, "");
    return bytes.length >= maxLineBytes || /[\r\n]/.test(text) ? malformed : incomplete;
  }
  const carried = readFields(bytes.toString("latin1", lineStart.length, end));
  return carried === undefined ? malformed : { kind: "complete", length: end + 2, carried };
}

/** The receiver must ignore the rest of the line after UNKNOWN. */
const unknown = /^UNKNOWN(?: [^\r\n]*)?$/;
const tcp = /^TCP([46]) ([\da-fA-F:.]{2,39}) ([\da-fA-F:.]{2,39}) (\d{1,5}) (\d{1,5})$/;

function readFields(text: string): CarriedEnds | undefined {
  if (unknown.test(text)) return unknownEnds;
  const [, family, source = "", destination = "", sourcePort, destinationPort] = tcp.exec(text) ?? [];
  const isAddress = family === "4" ? isIPv4 : isIPv6;
  if (family === undefined || !isAddress(source) || !isAddress(destination)) return undefined;
  const localPort = portOf(destinationPort);
  if (localPort === undefined || portOf(sourcePort) === undefined) return undefined;
  return { remoteAddress: source, localPort };
}

/** Decimal, without leading zeros. */
function portOf(text = ""): number | undefined {
  const port = Number(text);
  return String(port) === text && port <= 65_535 ? port : undefined;
}

const local = 0x20;
const proxied = 0x21;
/** Bytes per address, by family and transport: TCP over IPv4 and over IPv6. */
const addressBytesOf: ReadonlyMap<number, 4 | 16> = new Map([
  [0x11, 4],
  [0x21, 16],
]);
/** The highest specified values: family unix, transport datagram. */
const highestFamily = 0x30;
const highestTransport = 0x02;

function readBinary(bytes: Buffer): ProxyHeader {
  const command = bytes.readUInt8(12);
  const transport = bytes.readUInt8(13);
  const length = fixedBytes + bytes.readUInt16BE(14);
  const known = (transport & 0xf0) <= highestFamily && (transport & 0x0f) <= highestTransport;
  if ((command !== local && command !== proxied) || !known || length > maxBinaryBytes) return malformed;
  if (bytes.length < length) return incomplete;
  if (command === local) return { kind: "complete", length, carried: undefined };
  const addressBytes = addressBytesOf.get(transport);
  if (addressBytes === undefined) return { kind: "complete", length, carried: unknownEnds };
  const end = fixedBytes + 2 * addressBytes + 4;
  if (length < end) return malformed;
  const remoteAddress = addressText(bytes.subarray(fixedBytes, fixedBytes + addressBytes));
  return { kind: "complete", length, carried: { remoteAddress, localPort: bytes.readUInt16BE(end - 2) } };
}

function addressText(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join(".");
  return Array.from({ length: 8 }, (_, group) => bytes.readUInt16BE(2 * group).toString(16)).join(":");
}

/** A header must be complete within this time. */
const headerTimeoutMs = 10_000;

export interface ProxyTerminationHandlers {
  /** Bytes after the header have been put back. `carried` is undefined for LOCAL. */
  readonly read: (carried: CarriedEnds | undefined) => void;
  /** The connection is destroyed. */
  readonly rejected: (cause: ProxyRejection) => void;
}

/** Reads the PROXY protocol header of a connection. The caller must have checked that its peer is trusted. */
export function readProxied(socket: Socket, { read, rejected }: ProxyTerminationHandlers): void {
  let bytes: Buffer = Buffer.alloc(0);
  const timer = setTimeout(() => reject("timeout"), headerTimeoutMs);
  const stop = () => {
    clearTimeout(timer);
    socket.off("readable", onReadable).off("end", onEnd).off("close", stop);
  };
  const reject = (cause: ProxyRejection) => {
    stop();
    socket.destroy();
    rejected(cause);
  };
  // A TCP health check connects and closes without sending anything. That is not an error.
  const onEnd = () => (bytes.length > 0 ? reject("malformed") : socket.destroy());
  const onReadable = () => {
    const chunk = socket.read() as Buffer | null;
    if (chunk === null) return;
    bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk]);
    const header = readProxyHeader(bytes);
    if (header.kind === "incomplete") return;
    if (header.kind === "malformed") {
      reject("malformed");
      return;
    }
    stop();
    if (bytes.length > header.length) socket.unshift(bytes.subarray(header.length));
    read(header.carried);
  };
  socket.on("readable", onReadable).on("end", onEnd).on("close", stop);
}
