import { describe, expect, it } from "vitest";
import { App } from "../../src/app/app.ts";
import { upstream } from "../kit/freed.ts";
import { exchange } from "../kit/one-service.ts";
import { changeablePerch, renameOver, soon, temporaryFolder } from "../kit/served.ts";

const token = (letter: string) => letter.repeat(32);

/** A configuration whose admin server listens on all interfaces. */
async function openPerch(admin: string) {
  const stable = await upstream("stable");
  return `listeners: [{ name: web, address: "127.0.0.1:0" }]
admin: { address: "0.0.0.0:0", ${admin} }
services: { shop: { versions: { stable: { endpoints: ["${stable.origin}"] } } } }
releases: { shop: { sticky: { by: clientAddress }, split: { stable: 1 } } }
routes: [{ name: shop, service: shop, release: shop }]`;
}

const statusOf = async (port: number, request: string) =>
  Number(/^HTTP\/1\.1 (\d+)/.exec(await exchange(port, `${request}\r\nConnection: close\r\n\r\n`))?.[1]);

describe("an admin server on all interfaces", () => {
  it("does not start without `tokenFile` or `withoutToken`", async () => {
    const text = await openPerch("").then((yaml) => yaml.replace(", }", " }"));
    const start = App.start({
      source: { kind: "text", name: "test.yaml", text },
      env: {},
      logLevel: "silent",
      drainDelayMs: 0,
      drainTimeoutMs: 0,
    });
    await expect(start).rejects.toThrow(/reachable from other machines/);
  });

  it("serves probes and metrics to all, and the rest with a token, which a reload changes", async () => {
    const tokens = `${await temporaryFolder()}/tokens`;
    await renameOver(tokens, `${token("a")}\n`);
    const { perch: started, reloadedBy } = await changeablePerch(await openPerch(`tokenFile: ${tokens}`));
    const { port } = started.app.adminAddress;
    const ask = (path: string, fields = "") => statusOf(port, `GET ${path} HTTP/1.1\r\nHost: perch.shop.svc${fields}`);
    const bearer = (letter: string) => `\r\nAuthorization: Bearer ${token(letter)}`;
    expect(await Promise.all(["/livez", "/readyz", "/metrics", "/"].map((path) => ask(path)))).toEqual(
      Array(4).fill(200),
    );
    expect(await Promise.all(["/api/live", "/api/config", "/api/releases"].map((path) => ask(path)))).toEqual(
      Array(3).fill(401),
    );
    expect(await ask("/api/config", bearer("a"))).toBe(200);
    expect(await statusOf(port, `POST /api/config HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0`)).toBe(401);
    expect(
      await statusOf(port, `POST /api/config HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0${bearer("a")}`),
    ).toBe(405);
    await reloadedBy(() => renameOver(tokens, `${token("b")}\n${token("c")}\n`));
    await expect.poll(() => ask("/api/config", bearer("b")), soon).toBe(200);
    expect(await Promise.all(["a", "c"].map((letter) => ask("/api/config", bearer(letter))))).toEqual([401, 200]);
    expect(await (await started.admin("/api/config")).text()).not.toMatch(/bbbb|cccc/);
  });

  it("shows no valid pin", async () => {
    const { perch: started } = await changeablePerch(await openPerch("withoutToken: probes-and-metrics"));
    const explained = await (await started.admin("/api/explain?url=http://a/&client=10.0.0.1")).json();
    expect(explained).toMatchObject({
      pin: { wouldSet: expect.stringMatching(/^perch-shop=1\.1\.\d+\.stable\.s\.a[\w-]{11}\.<signature>; /) },
    });
  });
});
