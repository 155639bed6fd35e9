import type { IncomingMessage, ServerResponse } from "node:http";
import { describe, expect, it } from "vitest";
import { perch, upstream } from "../kit/freed.ts";
import { lanes } from "../kit/one-service.ts";
import type { TestPerch } from "../kit/perch.ts";
import { changeablePerch, freePorts, soon } from "../kit/served.ts";

/** An upstream that is well or not, and answers requests either way. */
async function checked(name: string) {
  const state = { well: true, checks: 0 };
  const answer = ({ url }: IncomingMessage, response: ServerResponse) => {
    if (url !== "/healthz") response.end(name);
    else {
      state.checks++;
      response.writeHead(state.well ? 200 : 503).end();
    }
  };
  return Object.assign(await upstream(name, answer), { state });
}

interface Reported {
  readonly endpoint: string;
  readonly state: string;
}

async function stateOf(started: TestPerch, origin: string) {
  const body = (await (await started.admin("/api/endpoints")).json()) as { readonly endpoints: readonly Reported[] };
  return body.endpoints.find(({ endpoint }) => endpoint === origin);
}

const stateBecomes = (started: TestPerch, origin: string, state: string) =>
  expect.poll(async () => (await stateOf(started, origin))?.state, soon).toBe(state);

const health = "{ path: /healthz, interval: 100ms, healthyAfter: 1, unhealthyAfter: 1 }";

const served = async (started: TestPerch, headers = {}) => {
  const response = await fetch(started.origin, { headers });
  return response.status === 200 ? response.text() : response.status;
};

describe.each(lanes)("health checks, in the $lane lane", ({ fastLane }) => {
  it("an endpoint whose checks fail gets no requests until they pass again, and it is told why", async () => {
    const [a, b] = [await checked("a"), await checked("b")];
    const started = await perch(`
fastLane: ${fastLane}
services: { shop: { balance: round-robin, versions: { stable: { endpoints: ["${a.origin}", "${b.origin}"] } }, health: ${health} } }
routes: [{ name: all, service: shop }]`);
    b.state.well = false;
    await stateBecomes(started, b.origin, "failing");
    for (let i = 0; i < 6; i++) expect(await served(started)).toBe("a");
    expect(await stateOf(started, b.origin)).toMatchObject({
      service: "shop",
      version: "stable",
      why: "status 503",
      triedAgainAt: null,
      checked: { by: "http", everyMs: 100 },
    });
    const up = `perch_endpoint_up{service="shop",version="stable",endpoint="${b.origin}"}`;
    expect(await started.metric(up)).toBe(0);
    b.state.well = true;
    await stateBecomes(started, b.origin, "up");
    expect([await served(started), await served(started)].sort()).toEqual(["a", "b"]);
    expect(await started.metric(up)).toBe(1);
  });

  it("a canary whose checks fail is served by the default, a tester gets 503; the default serves whatever its checks say", async () => {
    const [stable, canary] = [await checked("stable"), await checked("canary")];
    const started = await perch(`
fastLane: ${fastLane}
services: { shop: { versions: { stable: { endpoints: ["${stable.origin}"] }, canary: { endpoints: ["${canary.origin}"] } }, health: ${health} } }
releases: { shop: { split: { canary: 1 }, override: { header: x-perch-version, allowFrom: [127.0.0.0/8] } } }
routes: [{ name: all, service: shop, release: shop }]`);
    expect(await served(started)).toBe("canary");
    canary.state.well = false;
    await stateBecomes(started, canary.origin, "failing");
    expect(await served(started)).toBe("stable");
    expect(await served(started, { "x-perch-version": "canary" })).toBe(503);
    stable.state.well = false;
    await stateBecomes(started, stable.origin, "failing");
    expect(await served(started)).toBe("stable");
  });
});

describe("health checks over a reload", () => {
  const file = (endpoints: readonly string[], more: string) => `${freePorts}
services: { shop: { versions: { stable: { endpoints: [${endpoints.join(", ")}] } }${more} } }
routes: [{ name: all, service: shop }]
`;

  it("keep what was found where the settings stay, and end for endpoints that go and services that want none", async () => {
    const [a, b, c] = [await checked("a"), await checked("b"), await checked("c")];
    b.state.well = false;
    const { perch: started, change } = await changeablePerch(file([a.origin, b.origin], `, health: ${health}`));
    await stateBecomes(started, b.origin, "failing");
    await change(file([b.origin, c.origin], `, health: ${health}`));
    expect((await stateOf(started, b.origin))?.state).toBe("failing");
    await expect.poll(() => c.state.checks, soon).toBeGreaterThan(1);
    const { checks } = a.state;
    await expect.poll(() => b.state.checks, soon).toBeGreaterThan(b.state.checks + 2);
    expect(a.state.checks).toBe(checks);
    await change(file([b.origin, c.origin], ""));
    expect((await stateOf(started, b.origin))?.state).toBe("up");
  });
});

describe("health checks of several workers", () => {
  it("are each worker's own, and an outage that one has seen is told", async () => {
    const [a, b] = [await checked("a"), await checked("b")];
    const started = await perch(`
workers: 2
services: { shop: { versions: { stable: { endpoints: ["${a.origin}", "${b.origin}"] } }, health: ${health} } }
routes: [{ name: all, service: shop }]`);
    b.state.well = false;
    await stateBecomes(started, b.origin, "failing");
    expect(await stateOf(started, b.origin)).toMatchObject({ why: "status 503" });
    b.state.well = true;
    await stateBecomes(started, b.origin, "up");
  });
});
