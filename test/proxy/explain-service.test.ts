import { describe, expect, it } from "vitest";
import { loadConfigText } from "../../src/config/load.ts";
import { CellRegistry } from "../../src/observe/stats-registry.ts";
import { ActiveSnapshot } from "../../src/proxy/active-snapshot.ts";
import { explainRequest } from "../../src/proxy/explain/explain.ts";
import { EndpointRegistry, nobody } from "../../src/upstream/endpoint-registry.ts";

/** What an explanation says that the configuration does to a request on its way. */
function configured(service: string, more = "", headers: Readonly<Record<string, string>> = {}, client?: string) {
  const loaded = loadConfigText(
    `services: { shop: { ${service} versions: { stable: { endpoints: ["http://a:80", "http://b:80"] } } } }
trustedProxies: [10.0.0.0/8]
routes: [{ name: all, service: shop }]
${more}`,
    { file: "perch.yaml", env: {}, randomSecret: () => Buffer.alloc(32, "s") },
  );
  if (!loaded.ok) throw new Error(loaded.problems.map(({ message }) => message).join("\n"));
  const { current } = new ActiveSnapshot(
    new CellRegistry(),
    new EndpointRegistry(nobody),
    loaded.compiled,
    loaded.hash,
  );
  const request = { url: "http://a/", headers, ...(client === undefined ? {} : { client }) };
  const { trail } = explainRequest(current, request, { nowMs: 0, random: { int32: () => 7 } });
  return trail.filter(({ outcome }) => outcome === "so-configured").map(({ detail }) => detail);
}

describe("an explanation says of the service", () => {
  it.each<[service: string, lines: readonly string[]]>([
    ["", []],
    ["balance: hash,", []],
    ["balance: round-robin,", ["endpoints take turns by round-robin"]],
    ["protocol: http2,", ["its endpoints are spoken to by HTTP/2; a WebSocket would get 502"]],
    [
      "retries: {},",
      [
        "tried again up to 2 times where an endpoint is out of reach, and on a reset, 502, 503, 504 where the method is idempotent; at most 20 % of requests",
      ],
    ],
    [
      "retries: { attempts: 1, on: [connect-failure], budget: 50%, otherVersion: true },",
      [
        "tried again once where an endpoint is out of reach; at most 50 % of requests; the last goes to the default version",
      ],
    ],
    ["retries: { attempts: 0 },", ["retries are off"]],
    [
      "limits: { maxInFlight: 9, maxConnections: 2, maxPending: 5, pendingTimeout: 3s },",
      ["shop/stable, in each worker: at most 9 in flight, 2 connections to an endpoint, then 5 wait up to 3 s"],
    ],
  ])("%j", (service, lines) => {
    expect(configured(service)).toEqual(lines);
  });
});

describe("an explanation says of the trace", () => {
  const traceId = "0af7651916cd43dd8448eb211c80319c";
  const sent = { traceparent: `00-${traceId}-b7ad6b7169203331-01` };

  it.each<[sentence: string, tracing: string, headers: Readonly<Record<string, string>>, client: string, line: string]>(
    [
      ["that one begins", "{ sample: 0.5 }", {}, "10.0.0.1", "a new trace begins; recorded are 50 % of traces"],
      [
        "that a malformed one is no trace",
        "{ sample: 1 }",
        { traceparent: "x" },
        "10.0.0.1",
        "a new trace begins, the one sent does not count; recorded are 100 % of traces",
      ],
      [
        "that a stranger's goes on",
        "{ sample: 0 }",
        sent,
        "192.0.2.1",
        `trace ${traceId} goes on; recorded are 0 % of traces`,
      ],
      [
        "that it is recorded, as a proxy says",
        "{ sample: 0 }",
        sent,
        "10.0.0.1",
        `trace ${traceId} goes on; recorded, as the caller says`,
      ],
      [
        "that a stranger's does not count",
        "{ sample: 0, trustIncoming: proxies }",
        sent,
        "192.0.2.1",
        "a new trace begins, the one sent does not count; recorded are 0 % of traces",
      ],
    ],
  )("%s", (_, tracing, headers, client, line) => {
    expect(configured("", `tracing: ${tracing}`, headers, client)).toEqual([line]);
  });
});
