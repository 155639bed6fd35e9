import { byLabel, type CellMetricOptions } from "./cell-metric.ts";
import type { CellRegistry } from "./cells.ts";

/** When a certificate that a listener shows ends. */
export interface CertificateExpiry {
  readonly listener: string;
  /** The first of the names that it is shown for. */
  readonly certificate: string;
  readonly notAfterMs: number;
}

/** What came of connections before a lane had them, and how long the certificates last. */
export function listenerMetrics(
  cells: CellRegistry,
  certificates: () => Iterable<CertificateExpiry>,
): CellMetricOptions[] {
  return [
    {
      name: "perch_connections",
      help: "Connections of clients that are open.",
      type: "gauge",
      *samples() {
        for (const { listener, open } of cells.listeners()) yield { labels: { listener }, value: open.value };
      },
    },
    {
      name: "perch_connections_refused_total",
      help: "Connections that were closed unread for the limits on them.",
      type: "counter",
      *samples() {
        for (const { listener, refusals } of cells.listeners()) yield* byLabel({ listener }, "cause", refusals);
      },
    },
    {
      name: "perch_tls_handshake_failures_total",
      help: "Connections that were closed for want of a TLS handshake.",
      type: "counter",
      *samples() {
        for (const { listener, handshakes } of cells.listeners()) {
          if (handshakes !== undefined) yield* byLabel({ listener }, "cause", handshakes);
        }
      },
    },
    {
      name: "perch_proxy_protocol_rejections_total",
      help: "Connections that were closed for want of a PROXY header from a trusted caller.",
      type: "counter",
      *samples() {
        for (const { listener, rejections } of cells.listeners()) {
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
