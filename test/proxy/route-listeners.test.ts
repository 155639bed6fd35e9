import { describe, expect, it } from "vitest";
import { explainRequest } from "../../src/proxy/explain/explain.ts";
import { perch, upstream } from "../kit/freed.ts";
import { exchange, lanes } from "../kit/one-service.ts";
import { snapshotOf } from "../kit/snapshot.ts";

const listeners = `{ name: web, address: "127.0.0.1:0" }, { name: internal, address: "127.0.0.1:0" }`;

const routes = (open: string, secret: string) => `
services:
  open: { versions: { only: { endpoints: ["${open}"] } } }
  secret: { versions: { only: { endpoints: ["${secret}"] } } }
routes:
  - { name: admin, match: { listeners: [internal], path: { prefix: /admin } }, service: secret }
  - { name: shop, match: { listeners: [web, internal], hosts: [shop.example] }, service: open }`;

describe.each(lanes)("a route of some listeners, fastLane $fastLane", ({ fastLane }) => {
  it("takes what arrives at them, and nothing else", async () => {
    const [open, secret] = [await upstream("open"), await upstream("secret")];
    const { app } = await perch(`fastLane: ${fastLane}${routes(open.origin, secret.origin)}`, { listeners });
    const ask = async (at: number, path: string) => {
      const address = app.listeners[at]?.address;
      if (typeof address !== "object" || !("port" in address)) throw new Error("no such listener");
      const head = `GET ${path} HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n`;
      return (await exchange(address.port, head)).split("\r\n\r\n")[1];
    };
    expect(await ask(0, "/admin")).toContain("open");
    expect(await ask(1, "/admin")).toContain("secret");
    expect(await ask(1, "/other")).toContain("open");
  });
});

describe("an explanation", () => {
  const snapshot = snapshotOf(`listeners: [${listeners}]\n${routes("http://127.0.0.1:1", "http://127.0.0.1:2")}`);
  const context = { nowMs: 0, random: { int32: () => 0 } };
  const routeOf = (listener?: string) =>
    explainRequest(snapshot, { url: "http://shop.example/admin", listener }, context);

  it("is of a request to the listener that is given, else to the first", () => {
    expect(routeOf("internal").route).toBe("admin");
    expect(routeOf().route).toBe("shop");
    expect(routeOf().trail.find(({ stage }) => stage === "route")?.detail).toContain(
      "admin requires listener internal, the request has web",
    );
  });

  it("refuses a name that no listener has", () => {
    expect(routeOf("wep").error?.code).toBe("bad-request");
  });
});
