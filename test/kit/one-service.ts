import { perch } from "./freed.ts";
import { RawClient } from "./raw-client.ts";

/** The lanes that a suite runs over, by the configuration's word for each. */
export const lanes = [
  { lane: "standard", fastLane: "off" },
  { lane: "fast", fastLane: "on" },
] as const;

/** One service with short timeouts, one route to it; `more` is further configuration. */
export function perchTo(stable: string, more = "", canary?: string) {
  const second = canary === undefined ? "" : `, canary: { endpoints: ["${canary}"] }`;
  const release = more.includes("releases:") ? ", release: shop" : "";
  return perch(`
services:
  shop:
    versions: { stable: { endpoints: ["${stable}"] }${second} }
    timeouts: { connect: 1s, responseHeaders: 1s, idle: 1s }
routes: [{ name: all, service: shop${release} }]
${more}`);
}

/** `perchTo` with the fast lane on or off. */
export function perchIn(fastLane: "on" | "off"): typeof perchTo {
  return (stable, more = "", canary) => perchTo(stable, `fastLane: ${fastLane}\n${more}`, canary);
}

/** Sends bytes on a connection of their own and answers everything that came back until it closed. */
export async function exchange(port: number, bytes: string): Promise<string> {
  const client = await RawClient.connect(port);
  client.send(bytes);
  return client.read();
}
