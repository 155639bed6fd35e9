import { isIPv4, isIPv6, type Socket } from "node:net";
import type { ProxyRejection } from "../observe/listener-stats.ts";

/** What a header says of the connection that its sender accepted. */
export interface CarriedEnds {
  /** Undefined where it was no TCP connection, or the sender does not know: nobody may take its own address for it. */
  readonly remoteAddress: string | undefined;
  readonly localPort: number | undefined;
}

/** What the bytes at the start of a connection are, as far as they have come. */
export type ProxyHeader =
  | { readonly kind: "incomplete" }
  | { readonly kind: "malformed" }
  /** `carried` undefined: the sender speaks for itself (LOCAL), so the connection's own ends hold. */
  | { readonly kind: "complete"; readonly length: number; readonly carried: CarriedEnds | undefined };

/** The longest line of version 1, CRLF included. */
const maxLine = 107;
/** A header of version 2 may claim 64 KiB; with all that proxies add to one it has some hundred bytes. */
const maxBinary = 4_096;

const signature = Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1");
const fixedBytes = 16;
const lineStart = Buffer.from("PROXY ", "latin1");

const incomplete: ProxyHeader = Object.freeze({ kind: "incomplete" });
const malformed: ProxyHeader = Object.freeze({ kind: "malformed" });
const unknownEnds: CarriedEnds = Object.freeze({ remoteAddress: undefined, localPort: undefined });

/**
 * Reads a header of the PROXY protocol, version 1 or 2, at the start of `bytes`. Only what its specification allows is
 * taken, down to the single blank.
 */
export function readProxyHeader(bytes: Buffer): ProxyHeader {
  if (beginsLike(bytes, signature)) return bytes.length < fixedBytes ? incomplete : readBinary(bytes);
  return beginsLike(bytes, lineStart) ? readLine(bytes) : malformed;
}

/** Whether as many bytes as there are agree with the start that is wanted. */
function beginsLike(bytes: Buffer, wanted: Buffer): boolean {
  const length = Math.min(bytes.length, wanted.length);
  return bytes.compare(wanted, 0, length, 0, length) === 0;
}

function readLine(bytes: Buffer): ProxyHeader {
  const end = bytes.subarray(0, maxLine).indexOf("\r\n");
  if (end < 0) {
    // A lone CR or LF never becomes part of a line; a CR at the end may yet get its LF.
    const text = bytes.toString("latin1", 0, Math.min(bytes.length, maxLine)).replace(/\r$/, "");
    return bytes.length >= maxLine || /[\r\n]/.test(text) ? malformed : incomplete;
  }
  const carried = readFields(bytes.toString("latin1", lineStart.length, end));
  return carried === undefined ? malformed : { kind: "complete", length: end + 2, carried };
}

/** After UNKNOWN a receiver ignores what comes up to the end of the line. */
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

/** In decimal, without leading zeros. */
function portOf(text = ""): number | undefined {
  const port = Number(text);
  return String(port) === text && port <= 65_535 ? port : undefined;
}

const local = 0x20;
const proxied = 0x21;
/** Family and transport: TCP over IPv4, and over IPv6, with the bytes of an address. */
const streams: ReadonlyMap<number, 4 | 16> = new Map([
  [0x11, 4],
  [0x21, 16],
]);
/** The largest values of family (unix) and transport (datagrams) that are specified. */
const highestFamily = 0x30;
const highestTransport = 0x02;

function readBinary(bytes: Buffer): ProxyHeader {
  const command = bytes.readUInt8(12);
  const transport = bytes.readUInt8(13);
  const length = fixedBytes + bytes.readUInt16BE(14);
  const known = (transport & 0xf0) <= highestFamily && (transport & 0x0f) <= highestTransport;
  if ((command !== local && command !== proxied) || !known || length > maxBinary) return malformed;
  if (bytes.length < length) return incomplete;
  if (command === local) return { kind: "complete", length, carried: undefined };
  const addressBytes = streams.get(transport);
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
  /** What came behind the header has been put back; `carried` undefined: the connection's own ends hold. */
  readonly read: (carried: CarriedEnds | undefined) => void;
  /** The connection is destroyed. */
  readonly rejected: (cause: ProxyRejection) => void;
}

/** Takes the header of the PROXY protocol off the start of a connection, whose caller is trusted to write one. */
export function readProxied(socket: Socket, { read, rejected }: ProxyTerminationHandlers): void {
  let bytes: Buffer = Buffer.alloc(0);
  const timer = setTimeout(() => reject("timeout"), headerTimeoutMs);
  const leave = () => {
    clearTimeout(timer);
    socket.off("readable", onReadable).off("end", onEnd).off("close", leave);
  };
  const reject = (cause: ProxyRejection) => {
    leave();
    socket.destroy();
    rejected(cause);
  };
  // A port check connects and leaves without a word: that is no mistake of anybody's.
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
    leave();
    if (bytes.length > header.length) socket.unshift(bytes.subarray(header.length));
    read(header.carried);
  };
  socket.on("readable", onReadable).on("end", onEnd).on("close", leave);
}
