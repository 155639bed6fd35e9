import { networkInterfaces } from "node:os";
import { describe, expect, it } from "vitest";
import { App, type AppOptions } from "../../src/app/app.ts";
import { freeAfterTest, upstream } from "../kit/freed.ts";
import { lanes, shopAt } from "../kit/one-service.ts";
import type { TestUpstream } from "../kit/upstream.ts";

const hasIpv6 = Object.values(networkInterfaces()).some((addresses) =>
  addresses?.some(({ address }) => address === "::1"),
);
const hosts = hasIpv6 ? ["127.0.0.1", "[::1]"] : ["127.0.0.1"];

async function start(listeners: string, admin: string, more = "", shop?: TestUpstream): Promise<App> {
  const { origin } = shop ?? (await upstream("stable"));
  const text = `listeners: ${listeners}\nadmin: ${admin}\n${shopAt(origin, more)}`;
  const options: AppOptions = {
    source: { kind: "text", name: "test.yaml", text },
    env: {},
    logLevel: "silent",
    drainDelayMs: 0,
    drainTimeoutMs: 1_000,
    accessLogTo: "/dev/null",
  };
  const app = await App.start(options);
  freeAfterTest(() => app.stop());
  return app;
}

function portOf(app: App): number {
  const address = app.listeners[0]?.address;
  return typeof address === "object" ? address.port : 0;
}

describe('address: "*:PORT"', () => {
  it.for(["workers: 1", "workers: 2"])(
    "listens on IPv4, and on IPv6 where the machine has it (%s)",
    async (workers) => {
      const app = await start('[{ name: web, address: "*:0" }]', '{ address: "127.0.0.1:0" }', workers);
      for (const host of hosts) {
        const answer = await fetch(`http://${host}:${portOf(app)}/`);
        expect([host, answer.status]).toEqual([host, 200]);
      }
    },
  );

  it.for(lanes)("gives a client over IPv4 its own address, in the $lane lane", async ({ fastLane }) => {
    const shop = await upstream("stable");
    const more = `fastLane: ${fastLane}`;
    const app = await start('[{ name: web, address: "*:0" }]', '{ address: "127.0.0.1:0" }', more, shop);
    await fetch(`http://127.0.0.1:${portOf(app)}/`);
    expect(shop.seen[0]?.headers["x-forwarded-for"]).toBe("127.0.0.1");
  });

  it("makes the admin server listen on both, for the probes of a cluster of either family", async () => {
    const admin = '{ address: "*:0", withoutToken: probes-and-metrics }';
    const app = await start('[{ name: web, address: "127.0.0.1:0" }]', admin);
    for (const host of hosts) {
      const answer = await fetch(`http://${host}:${app.adminAddress.port}/readyz`);
      expect([host, answer.status]).toEqual([host, 200]);
    }
  });

  it("says which address is taken, as it was written", async () => {
    const taken = await start('[{ name: web, address: "*:0" }]', '{ address: "127.0.0.1:0" }');
    const port = portOf(taken);
    await expect(start(`[{ name: web, address: "*:${port}" }]`, '{ address: "127.0.0.1:0" }')).rejects.toMatchObject({
      problems: [
        `perch: listener "web" cannot listen on *:${port}: the port is in use (EADDRINUSE); stop the other process or choose another port`,
      ],
    });
    const admin = `{ address: "*:${port}", withoutToken: probes-and-metrics }`;
    await expect(start('[{ name: web, address: "127.0.0.1:0" }]', admin)).rejects.toMatchObject({
      problems: [
        `perch: admin server cannot listen on *:${port}: the port is in use (EADDRINUSE); stop the other process or choose another port`,
      ],
    });
  });
});
