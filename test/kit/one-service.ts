import { perch } from "./freed.ts";
import { RawClient } from "./raw-client.ts";

/** The lanes that a suite runs over, by their value of `fastLane`. */
export const lanes = [
  { lane: "standard", fastLane: "off" },
  { lane: "fast", fastLane: "on" },
] as const;

/** The service `shop` and the route `all` to it. */
export interface Shop {
  /** Origins, or maps as in the configuration. */
  readonly stable: string | readonly string[];
  readonly canary?: string | readonly string[] | undefined;
  /** Further keys of the service. */
  readonly service?: string;
  /** Keys of the release `shop`, which the route then takes; it also takes one that `more` has. */
  readonly release?: string;
  /** Further keys of the route. */
  readonly route?: string;
  /** Further configuration. */
  readonly more?: string;
}

export function shopYaml({ stable, canary, service = "", release, route = "", more = "" }: Shop): string {
  const endpoints = (origins: string | readonly string[]) =>
    `{ endpoints: [${[origins].flat().map((origin) => (origin.startsWith("{") ? origin : `"${origin}"`))}] }`;
  const versions = `stable: ${endpoints(stable)}${canary === undefined ? "" : `, canary: ${endpoints(canary)}`}`;
  const releases = release === undefined ? "" : `releases: { shop: { ${release} } }\n`;
  const taken = `${releases}${more}`.includes("releases:") ? "release: shop, " : "";
  return `services: { shop: { versions: { ${versions} }, ${service} } }
${releases}routes: [{ name: all, service: shop, ${taken}${route} }]
${more}
`;
}

/** `shopYaml` with one endpoint. */
export const shopAt = (origin: string, more = ""): string => shopYaml({ stable: origin, more });

/** Series of the service. */
export const requestsTotal = (code: number | string, version = "stable", method = "GET"): string =>
  `perch_requests_total{route="all",service="shop",version="${version}",code="${code}",method="${method}"}`;
export const upstreamErrors = (kind: string, version = "stable"): string =>
  `perch_upstream_errors_total{service="shop",version="${version}",kind="${kind}"}`;
export const requestsInFlight = 'perch_requests_in_flight{service="shop",version="stable"}';

/** Perch in front of one service with short timeouts. */
export function perchTo(stable: string, more = "", canary?: string) {
  const service = "timeouts: { connect: 1s, responseHeaders: 1s, idle: 1s }";
  return perch(shopYaml({ stable, canary, service, more }));
}

/** `perchTo` with the fast lane on or off. */
export function perchIn(fastLane: "on" | "off"): typeof perchTo {
  return (stable, more = "", canary) => perchTo(stable, `fastLane: ${fastLane}\n${more}`, canary);
}

/** Sends bytes on a new connection; everything that came back until it closed. */
export async function exchange(port: number, bytes: string): Promise<string> {
  const client = await RawClient.connect(port);
  client.send(bytes);
  return client.read();
}

/** The version that serves one GET with these field lines, by the `x-upstream` of its response; else the whole response. */
export async function servedBy(port: number, fields: string): Promise<string> {
  const answer = await exchange(port, `GET / HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n${fields}\r\n`);
  return /x-upstream: (\w+)/i.exec(answer)?.[1] ?? answer;
}
