import { describe, expect, it } from "vitest";
import { loadConfigText } from "../../src/config/load.ts";
import { CellRegistry } from "../../src/observe/stats-registry.ts";
import { ActiveSnapshot } from "../../src/proxy/active-snapshot.ts";
import type { DryRequest } from "../../src/proxy/explain/dry-run.ts";
import { explainRequest } from "../../src/proxy/explain/explain.ts";
import { EndpointRegistry, nobody } from "../../src/upstream/endpoint-registry.ts";
import { perch, upstream } from "../kit/freed.ts";

const shop = (endpoints: string, balance = "hash") => `
trustedProxies: [127.0.0.0/8]
attributes: { userId: { type: string, from: [{ header: x-user-id }] } }
services: { shop: { balance: ${balance}, versions: { stable: { endpoints: [${endpoints}] } } } }
releases: { shop: { sticky: { by: userId }, split: { stable: 1 }, override: { header: x-version, allowFrom: [127.0.0.0/8] } } }
routes:
  - { name: plain, match: { path: { prefix: /plain } }, service: shop }
  - { name: all, service: shop, release: shop }`;

function forwardSteps(yaml: string, request: DryRequest): string[] {
  const loaded = loadConfigText(yaml, { file: "perch.yaml", env: {}, randomSecret: () => new Uint8Array(32) });
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  const snapshot = new ActiveSnapshot(new CellRegistry(), new EndpointRegistry(nobody), loaded.compiled, loaded.hash)
    .current;
  const { trail } = explainRequest(snapshot, request, { nowMs: 0, random: { int32: () => 1 } });
  return trail.filter(({ stage }) => stage === "forward").map(({ detail }) => detail);
}

const two = '"http://10.0.0.1:80", "http://10.0.0.2:80"';

describe("what is explained of endpoints", () => {
  it.each([
    [
      "the unit's",
      "/",
      { "x-user-id": "ada" },
      "127.0.0.1",
      /^balance hash: this unit is kept on http:\/\/10\.0\.0\.[12]:80$/,
    ],
    [
      "the client's, where no release decides",
      "/plain",
      {},
      "127.0.0.1",
      /^balance hash: this client's address is kept on/,
    ],
    [
      "the client's, where an override decides",
      "/",
      { "x-version": "stable", "x-user-id": "ada" },
      "127.0.0.1",
      /^balance hash: this client's address is kept on/,
    ],
    ["anyone's, where nobody knows who asks", "/plain", {}, undefined, /^balance hash: any endpoint/],
  ])("is, by hash, %s", (_sentence, url, headers, client, wanted) => {
    expect(forwardSteps(shop(two), { url, headers: { host: "a.example", ...headers }, client })[1]).toMatch(wanted);
  });

  it("is, by another balance, the list alone", () => {
    expect(forwardSteps(shop(two, "p2c"), { url: "/", headers: { host: "a.example" } })).toHaveLength(1);
  });

  it("is that a name is one, where nobody resolves it", () => {
    expect(forwardSteps(shop("{ dns: shop.example, port: 80 }"), { url: "/", headers: { host: "a.example" } })).toEqual(
      ["service shop, version stable: no address known here (http://shop.example:80 by DNS)"],
    );
  });

  it("is where the request really goes", async () => {
    const all = [await upstream("one"), await upstream("two"), await upstream("three")];
    const { origin, admin } = await perch(shop(all.map((one) => one.origin).join(", ")));
    for (const user of ["ada", "grace", "edsger", "barbara", "tony"]) {
      const query = `url=http://a.example/&header=${encodeURIComponent(`x-user-id: ${user}`)}`;
      const { trail } = (await (await admin(`/api/explain?${query}`)).json()) as { trail: { detail: string }[] };
      const served = (await fetch(origin, { headers: { "x-user-id": user } })).headers.get("x-upstream");
      const at = all[["one", "two", "three"].indexOf(served ?? "")]?.origin;
      expect(trail.map(({ detail }) => detail)).toContain(`balance hash: this unit is kept on ${at}`);
    }
  });
});
