import { Counter, LabelCounters } from "./counters.ts";
import { StatsGroup } from "./stats-group.ts";

/**
 * How a TLS handshake failed: the client closed the connection or was too slow, did not speak TLS, had no version, cipher
 * or protocol in common with the listener, sent no valid client certificate, or rejected the listener's.
 */
const handshakeFailures = [
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

/** Why a listener with the PROXY protocol closed a connection before any request. */
const proxyRejections = ["untrusted", "malformed", "timeout"] as const;
export type ProxyRejection = (typeof proxyRejections)[number];

/** Which limit closed a new connection unread: the listener's, or the one for each client address. */
const refusalCauses = ["connections", "address", "descriptors"] as const;
export type RefusalCause = (typeof refusalCauses)[number];

/** What a listener has in front of its lanes. */
export interface ListenerFront {
  readonly tls: boolean;
  readonly proxyProtocol: boolean;
}

/** Connections of one listener: open ones, and those that were closed before a lane had them. */
export class ListenerStats {
  readonly open: Counter;
  readonly refusals: LabelCounters<RefusalCause>;
  /** Undefined without TLS. */
  readonly handshakes: LabelCounters<HandshakeFailure> | undefined;
  /** Undefined without the PROXY protocol. */
  readonly rejections: LabelCounters<ProxyRejection> | undefined;

  /** `before`: the stats of the same listener so far, which continue. */
  constructor(front: ListenerFront, before?: ListenerStats) {
    this.open = before?.open ?? new Counter();
    this.refusals = before?.refusals ?? new LabelCounters(refusalCauses);
    this.handshakes = front.tls ? (before?.handshakes ?? new LabelCounters(handshakeFailures)) : undefined;
    this.rejections = front.proxyProtocol ? (before?.rejections ?? new LabelCounters(proxyRejections)) : undefined;
  }

  refused(cause: RefusalCause): void {
    this.refusals.count(cause);
  }

  handshakeFailed(cause: HandshakeFailure): void {
    this.handshakes?.count(cause);
  }

  rejected(cause: ProxyRejection): void {
    this.rejections?.count(cause);
  }
}

export const listenerGroup = new StatsGroup<ListenerStats, [listener: string, front: ListenerFront]>({
  labels: ["listener"],
  make: (before, _listener, front) => new ListenerStats(front, before),
  metrics: [
    {
      name: "perch_connections",
      help: "Open client connections.",
      type: "gauge",
      storage: ({ open }) => open,
    },
    {
      name: "perch_connections_refused_total",
      help: "Connections closed unread because a connection limit was reached.",
      type: "counter",
      labels: ["cause"],
      storage: ({ refusals }) => refusals,
    },
    {
      name: "perch_tls_handshake_failures_total",
      help: "Connections closed because the TLS handshake failed.",
      type: "counter",
      labels: ["cause"],
      storage: ({ handshakes }) => handshakes,
    },
    {
      name: "perch_proxy_protocol_rejections_total",
      help: "Connections closed because they had no valid PROXY header from a trusted peer.",
      type: "counter",
      labels: ["cause"],
      storage: ({ rejections }) => rejections,
    },
  ],
});
