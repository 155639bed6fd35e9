import type { IncomingMessage, ServerResponse } from "node:http";
import { describe, expect, it } from "vitest";
import { perch, upstream } from "../kit/freed.ts";
import { lanes, shopYaml } from "../kit/one-service.ts";
import type { TestPerch } from "../kit/perch.ts";
import { changeablePerch, freePorts, soon } from "../kit/served.ts";

/** An upstream whose checks pass or fail, and that answers requests either way. */
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

const health = "health: { path: /healthz, interval: 100ms, healthyAfter: 1, unhealthyAfter: 1 }";

const served = async (started: TestPerch, headers = {}) => {
  const response = await fetch(started.origin, { headers });
  return response.status === 200 ? response.text() : response.status;
};

describe.each(lanes)("health checks, in the $lane lane", ({ fastLane }) => {
  it("an endpoint whose checks fail gets no requests until they pass again, and /api/endpoints has the reason", async () => {
    const [a, b] = [await checked("a"), await checked("b")];
    const service = `balance: round-robin, ${health}`;
    const started = await perch(shopYaml({ stable: [a.origin, b.origin], service, more: `fastLane: ${fastLane}` }));
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

  it("a canary whose checks fail: its users get the default version, a tester 503; the default serves although its checks fail", async () => {
    const [stable, canary] = [await checked("stable"), await checked("canary")];
    const started = await perch(
      shopYaml({
        stable: stable.origin,
        canary: canary.origin,
        service: health,
        release: "split: { canary: 1 }, override: { header: x-perch-version, allowFrom: [127.0.0.0/8] }",
        more: `fastLane: ${fastLane}`,
      }),
    );
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
  const file = (stable: readonly string[], service = "") => freePorts + shopYaml({ stable, service });

  it("keep their results where the settings stay, and end for removed endpoints and services without checks", {
    tags: ["slow"],
  }, async () => {
    const [a, b, c] = [await checked("a"), await checked("b"), await checked("c")];
    b.state.well = false;
    const { perch: started, change } = await changeablePerch(file([a.origin, b.origin], health));
    await stateBecomes(started, b.origin, "failing");
    await change(file([b.origin, c.origin], health));
    expect((await stateOf(started, b.origin))?.state).toBe("failing");
    await expect.poll(() => c.state.checks, soon).toBeGreaterThan(1);
    const { checks } = a.state;
    await expect.poll(() => b.state.checks, soon).toBeGreaterThan(b.state.checks + 2);
    expect(a.state.checks).toBe(checks);
    await change(file([b.origin, c.origin]));
    expect((await stateOf(started, b.origin))?.state).toBe("up");
  });
});

describe("health checks of several workers", () => {
  it("run in each worker, and an outage that one has seen is reported", { tags: ["slow"] }, async () => {
    const [a, b] = [await checked("a"), await checked("b")];
    const started = await perch(shopYaml({ stable: [a.origin, b.origin], service: health, more: "workers: 2" }));
    b.state.well = false;
    await stateBecomes(started, b.origin, "failing");
    expect(await stateOf(started, b.origin)).toMatchObject({ why: "status 503" });
    b.state.well = true;
    await stateBecomes(started, b.origin, "up");
  });
});
