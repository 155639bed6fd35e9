import { expect, it } from "vitest";
import { perch } from "../../kit/freed.ts";
import { h2Upstream } from "../../kit/h2-upstream.ts";
import { exchange, lanes, requestsInFlight } from "../../kit/one-service.ts";
import { upgradeHead } from "../../kit/websocket.ts";

it.each(lanes)(
  "a WebSocket for a service with protocol http2 is refused, at nobody's cost: $lane lane",
  async ({ fastLane }) => {
    const stable = await h2Upstream();
    const started = await perch(`fastLane: ${fastLane}
services:
  shop:
    protocol: http2
    outlier: { consecutiveFailures: 1 }
    versions: { stable: { endpoints: ["${stable.origin}"] } }
routes: [{ name: all, service: shop }]`);
    for (let count = 0; count < 3; count++) {
      const answer = await exchange(started.port, upgradeHead());
      expect(answer).toMatch(/^HTTP\/1\.1 502 Bad Gateway\r\n/);
      expect(answer).toContain("\r\nx-perch-error: no-websocket\r\n");
    }
    expect(stable.sessions).toEqual([]);
    const series = 'route="all",service="shop",version="stable"';
    expect(await started.metric(`perch_requests_total{${series},code="502",method="GET"}`)).toBe(3);
    expect(await started.metric(requestsInFlight)).toBe(0);
    const fine = await exchange(started.port, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    expect(fine).toMatch(/^HTTP\/1\.1 200 /);
  },
);
