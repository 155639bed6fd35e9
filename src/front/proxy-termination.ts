import type { Socket } from "node:net";
import type { ProxyRejection } from "../observe/listener-cells.ts";
import { type CarriedEnds, readProxyHeader } from "./proxy-header.ts";

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
  let octets: Buffer = Buffer.alloc(0);
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
  const onEnd = () => (octets.length > 0 ? reject("malformed") : socket.destroy());
  const onReadable = () => {
    const chunk = socket.read() as Buffer | null;
    if (chunk === null) return;
    octets = octets.length === 0 ? chunk : Buffer.concat([octets, chunk]);
    const header = readProxyHeader(octets);
    if (header.kind === "incomplete") return;
    if (header.kind === "malformed") {
      reject("malformed");
      return;
    }
    leave();
    if (octets.length > header.length) socket.unshift(octets.subarray(header.length));
    read(header.carried);
  };
  socket.on("readable", onReadable).on("end", onEnd).on("close", leave);
}
