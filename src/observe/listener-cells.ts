import { type Cell, type CellValues, cellsOf, setValues, valuesOf } from "./cell.ts";

/**
 * How a TLS handshake failed: the client went away or was too slow, spoke something else, no version, cipher or protocol
 * that both know, no certificate that was asked for, or it refused ours.
 */
export const handshakeFailures = [
  "client-closed",
  "timeout",
  "not-tls",
  "version",
  "cipher",
  "protocol",
  "client-certificate",
  "refused-by-client",
  "other",
] as const;
export type HandshakeFailure = (typeof handshakeFailures)[number];

/** Why a connection of a listener with the PROXY protocol was closed before it was taken. */
export const proxyRejections = ["untrusted", "malformed", "timeout"] as const;
export type ProxyRejection = (typeof proxyRejections)[number];

/** What a listener has in front of its lanes. */
export interface ListenerFront {
  readonly tls: boolean;
  readonly proxyProtocol: boolean;
}

export type ListenerCounts = {
  readonly handshakes: CellValues<HandshakeFailure> | undefined;
  readonly rejections: CellValues<ProxyRejection> | undefined;
};

/** Connections of one listener that never got to a lane; undefined where it has nothing that could fail so. */
export class ListenerCells {
  readonly listener: string;
  readonly handshakes: Readonly<Record<HandshakeFailure, Cell>> | undefined;
  readonly rejections: Readonly<Record<ProxyRejection, Cell>> | undefined;

  /** `before`: the cells of the same listener, whose counts go on. */
  constructor(listener: string, front: ListenerFront, before?: ListenerCells) {
    this.listener = listener;
    this.handshakes = front.tls ? (before?.handshakes ?? cellsOf(handshakeFailures)) : undefined;
    this.rejections = front.proxyProtocol ? (before?.rejections ?? cellsOf(proxyRejections)) : undefined;
  }

  counts(): ListenerCounts {
    return {
      handshakes: this.handshakes && valuesOf(this.handshakes),
      rejections: this.rejections && valuesOf(this.rejections),
    };
  }

  /** Holds these counts and no others. */
  restore(counts: ListenerCounts | undefined): void {
    if (this.handshakes !== undefined) setValues(this.handshakes, counts?.handshakes);
    if (this.rejections !== undefined) setValues(this.rejections, counts?.rejections);
  }

  handshakeFailed(cause: HandshakeFailure): void {
    if (this.handshakes !== undefined) this.handshakes[cause].value++;
  }

  rejected(cause: ProxyRejection): void {
    if (this.rejections !== undefined) this.rejections[cause].value++;
  }
}
