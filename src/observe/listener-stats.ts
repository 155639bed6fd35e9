import { type Counter, type CounterValues, countersOf, counterValues, setCounters } from "./counters.ts";
import { byLabel, type CellMetricOptions } from "./prometheus.ts";
import type { StatsRegistry } from "./stats-registry.ts";

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

/** Why a connection was closed unread: the listener's places are taken, or those of its client. */
export const refusalCauses = ["connections", "address"] as const;
export type RefusalCause = (typeof refusalCauses)[number];

/** What a listener has in front of its lanes. */
export interface ListenerFront {
  readonly tls: boolean;
  readonly proxyProtocol: boolean;
}

export type ListenerCounts = {
  readonly open: number;
  readonly refusals: CounterValues<RefusalCause>;
  readonly handshakes: CounterValues<HandshakeFailure> | undefined;
  readonly rejections: CounterValues<ProxyRejection> | undefined;
};

/** Connections of one listener: those that are open, and those that never got to a lane; undefined where none could fail so. */
export class ListenerStats {
  readonly listener: string;
  readonly open: Counter;
  readonly refusals: Readonly<Record<RefusalCause, Counter>>;
  readonly handshakes: Readonly<Record<HandshakeFailure, Counter>> | undefined;
  readonly rejections: Readonly<Record<ProxyRejection, Counter>> | undefined;

  /** `before`: the stats of the same listener, whose counts go on. */
  constructor(listener: string, front: ListenerFront, before?: ListenerStats) {
    this.listener = listener;
    this.open = before?.open ?? { value: 0 };
    this.refusals = before?.refusals ?? countersOf(refusalCauses);
    this.handshakes = front.tls ? (before?.handshakes ?? countersOf(handshakeFailures)) : undefined;
    this.rejections = front.proxyProtocol ? (before?.rejections ?? countersOf(proxyRejections)) : undefined;
  }

  counts(): ListenerCounts {
    return {
      open: this.open.value,
      refusals: counterValues(this.refusals),
      handshakes: this.handshakes && counterValues(this.handshakes),
      rejections: this.rejections && counterValues(this.rejections),
    };
  }

  /** Holds these counts and no others. */
  restore(counts: ListenerCounts | undefined): void {
    this.open.value = counts?.open ?? 0;
    setCounters(this.refusals, counts?.refusals);
    if (this.handshakes !== undefined) setCounters(this.handshakes, counts?.handshakes);
    if (this.rejections !== undefined) setCounters(this.rejections, counts?.rejections);
  }

  refused(cause: RefusalCause): void {
    this.refusals[cause].value++;
  }

  handshakeFailed(cause: HandshakeFailure): void {
    if (this.handshakes !== undefined) this.handshakes[cause].value++;
  }

  rejected(cause: ProxyRejection): void {
    if (this.rejections !== undefined) this.rejections[cause].value++;
  }
}

/** When a certificate that a listener shows ends. */
export interface CertificateExpiry {
  readonly listener: string;
  /** The first of the names that it is shown for. */
  readonly certificate: string;
  readonly notAfterMs: number;
}

/** What came of connections before a lane had them, and how long the certificates last. */
export function listenerMetrics(
  stats: StatsRegistry,
  certificates: () => Iterable<CertificateExpiry>,
): CellMetricOptions[] {
  return [
    {
      name: "perch_connections",
      help: "Connections of clients that are open.",
      type: "gauge",
      *samples() {
        for (const { listener, open } of stats.listeners()) yield { labels: { listener }, value: open.value };
      },
    },
    {
      name: "perch_connections_refused_total",
      help: "Connections that were closed unread for the limits on them.",
      type: "counter",
      *samples() {
        for (const { listener, refusals } of stats.listeners()) yield* byLabel({ listener }, "cause", refusals);
      },
    },
    {
      name: "perch_tls_handshake_failures_total",
      help: "Connections that were closed for want of a TLS handshake.",
      type: "counter",
      *samples() {
        for (const { listener, handshakes } of stats.listeners()) {
          if (handshakes !== undefined) yield* byLabel({ listener }, "cause", handshakes);
        }
      },
    },
    {
      name: "perch_proxy_protocol_rejections_total",
      help: "Connections that were closed for want of a PROXY header from a trusted caller.",
      type: "counter",
      *samples() {
        for (const { listener, rejections } of stats.listeners()) {
          if (rejections !== undefined) yield* byLabel({ listener }, "cause", rejections);
        }
      },
    },
    {
      name: "perch_certificate_expiry_timestamp_seconds",
      help: "When a certificate that a listener shows ends.",
      type: "gauge",
      *samples() {
        for (const { listener, certificate, notAfterMs } of certificates()) {
          yield { labels: { listener, certificate }, value: notAfterMs / 1000 };
        }
      },
    },
  ];
}
