import { describe, expect, it } from "vitest";
import { TestDnsServer } from "../kit/dns-server.ts";
import { freeAfterTest, upstream } from "../kit/freed.ts";
import { shopAt } from "../kit/one-service.ts";
import { startPerch } from "../kit/perch.ts";
import { freePort, readiness } from "../kit/readiness.ts";

describe("/readyz while Perch starts", () => {
  it("is 503 until every listener accepts, however long the first DNS answers take", async () => {
    const server = await TestDnsServer.start({ "shop.test": { A: ["127.0.0.1"] } });
    const release = server.hold();
    const [admin, port] = [await freePort(), await freePort()];
    const text = `
listeners: [{ name: web, address: "127.0.0.1:${port}" }]
admin: { address: "127.0.0.1:${admin}" }
dns: { servers: ["${server.address}"] }
services: { shop: { versions: { stable: { endpoints: [{ dns: shop.test, port: 9 }] } } } }
routes: [{ name: shop, service: shop }]`;
    const starting = startPerch("", { source: { kind: "text", name: "test.yaml", text } });
    freeAfterTest(async () => (await starting).stop());
    await expect.poll(() => server.asked).toContain("shop.test A");
    expect(await readiness(admin)).toBe("503 not ready: starting, not every listener accepts connections yet");
    await expect(fetch(`http://127.0.0.1:${port}`)).rejects.toThrow("fetch failed");
    release();
    await starting;
    expect(await readiness(admin)).toBe("200 ok");
    // The endpoint refuses: the listener has accepted the request.
    expect((await fetch(`http://127.0.0.1:${port}`)).status).toBe(502);
  });
});

describe("/readyz while Perch stops", () => {
  it("is not 200 after a stop without a drain, whose listeners are closed", async () => {
    const stable = await upstream("stable");
    const started = await startPerch(shopAt(stable.origin));
    freeAfterTest(() => started.stop());
    expect((await started.admin("/readyz")).status).toBe(200);
    const stopped = started.stop();
    const state = await readiness(Number(new URL(started.adminOrigin).port));
    expect(["503 not ready: draining", "no admin server"]).toContain(state);
    await stopped;
  });
});
