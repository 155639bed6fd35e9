import type { Certificate } from "./certificate.ts";

const dayMs = 86_400_000;

/** What is to be said of a certificate's time; undefined where nothing is: not long before its end, be it a short one. */
export function expiryWarning(
  { notBeforeMs, notAfterMs }: Pick<Certificate, "notBeforeMs" | "notAfterMs">,
  nowMs: number,
): string | undefined {
  if (nowMs < notBeforeMs) return `the certificate is not valid before ${timeText(notBeforeMs)}`;
  if (nowMs > notAfterMs) return `the certificate expired at ${timeText(notAfterMs)}`;
  const soonMs = Math.min(14 * dayMs, (notAfterMs - notBeforeMs) / 3);
  return notAfterMs - nowMs < soonMs ? `the certificate expires at ${timeText(notAfterMs)}` : undefined;
}

const timeText = (ms: number): string => new Date(ms).toISOString().replace(".000Z", "Z");
