import { expiryWarning } from "../config/certificate.ts";
import type { ListenerSpec } from "../config/compiled-config.ts";
import type { Logger } from "../observe/log.ts";
import type { CertificateExpiry } from "../observe/metrics.ts";

/** By listener and first host name; of two that share both, the one that expires first. */
export function certificateExpiries(listeners: readonly ListenerSpec[]): readonly CertificateExpiry[] {
  const found = new Map<string, CertificateExpiry>();
  for (const { name: listener, tls } of listeners) {
    for (const { hosts, notAfterMs } of tls?.certificates ?? []) {
      const certificate = hosts[0] ?? "none";
      const key = `${listener} ${certificate}`;
      const known = found.get(key);
      if (known === undefined || notAfterMs < known.notAfterMs) found.set(key, { listener, certificate, notAfterMs });
    }
  }
  return [...found.values()];
}

/** Loads already warn of expiring certificates; this covers processes that run for months without a reload. */
export function warnOfExpiry(listeners: readonly ListenerSpec[], nowMs: number, log: Logger): void {
  for (const { name: listener, tls } of listeners) {
    for (const certificate of tls?.certificates ?? []) {
      const problem = expiryWarning(certificate, nowMs);
      if (problem !== undefined) log.warn({ listener, certificate: certificate.hosts[0] }, problem);
    }
  }
}
