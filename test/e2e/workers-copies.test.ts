import { expect, it } from "vitest";
import { collector } from "../kit/collector.ts";
import { upstream } from "../kit/freed.ts";
import { exchange } from "../kit/one-service.ts";
import { servePerch, soon } from "../kit/served.ts";

it("mirrored requests and spans of several workers are counted as of one process, and spans have the worker's instance id", {
  timeout: 60_000,
}, async () => {
  const [stable, canary, to] = [await upstream("stable"), await upstream("canary"), await collector()];
  const served = await servePerch(`workers: 2
tracing: { sample: 1, otlp: { endpoint: "${to.endpoint}" } }
services: { shop: { versions: { stable: { endpoints: ["${stable.origin}"] }, canary: { endpoints: ["${canary.origin}"] } } } }
releases: { shop: { split: { stable: 1 }, mirror: { version: canary, percent: 100 } } }
routes: [{ name: all, service: shop, release: shop }]`);
  const request = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
  await Promise.all(Array.from({ length: 30 }, () => exchange(served.port, request)));
  const copies = 'perch_mirror_requests_total{release="shop",version="canary",outcome="2xx"}';
  await expect.poll(() => served.metric(copies), soon).toBe(30);
  await expect.poll(() => served.metric('perch_trace_spans_total{outcome="exported"}'), soon).toBe(60);
  expect([canary.seen.length, to.spans.length]).toEqual([30, 60]);
  expect(new Set(to.spans.map(({ resource }) => resource["service.instance.id"])).size).toBe(2);
});
