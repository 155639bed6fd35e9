import { perch } from "./freed.ts";
import { RawClient } from "./raw-client.ts";

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

/** Sends octets on a connection of their own and answers everything that came back until it closed. */
export async function exchange(port: number, octets: string): Promise<string> {
  const client = await RawClient.connect(port);
  client.send(octets);
  return client.read();
}
