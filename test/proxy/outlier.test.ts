import type { ServerResponse } from "node:http";
import { describe, expect, it } from "vitest";
import { perch, upstream } from "../kit/freed.ts";
import { lanes, shopYaml } from "../kit/one-service.ts";
import { soon } from "../kit/served.ts";
import { refusedOrigin } from "../kit/upstream.ts";

const up = (version: string, origin: string) =>
  `perch_endpoint_up{service="shop",version="${version}",endpoint="${origin}"}`;

/** An upstream that answers with the status it is set to. */
async function settable(name: string) {
  const state = { status: 200 };
  const answer = (_request: unknown, response: ServerResponse) => response.writeHead(state.status).end(name);
  return Object.assign(await upstream(name, answer), { state });
}

describe.each(lanes)("outlier ejection, in the $lane lane", ({ fastLane }) => {
  const more = `fastLane: ${fastLane}\nexposeVersion: true`;
  const perchTo = (stable: readonly string[], outlier: string) =>
    perch(
      shopYaml({ stable, service: `balance: round-robin, outlier: ${outlier}`, release: "split: { stable: 1 }", more }),
    );

  it("an endpoint that fails is ejected, tried again after ejectFor, and returns", async () => {
    const [good, bad] = [await settable("good"), await settable("bad")];
    bad.state.status = 500;
    const { origin, metric } = await perchTo([good.origin, bad.origin], "{ consecutiveFailures: 3, ejectFor: 200ms }");
    const statuses = new Map<number, number>();
    for (let i = 0; i < 40 && bad.seen.length < 3; i++) {
      const { status } = await fetch(origin);
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
    }
    expect(statuses.get(500)).toBe(3);
    expect(await metric(up("stable", bad.origin))).toBe(0);
    bad.state.status = 200;
    await expect
      .poll(async () => {
        expect((await fetch(origin)).status).toBe(200);
        return metric(up("stable", bad.origin));
      }, soon)
      .toBe(1);
  });

  it("a canary whose endpoints are all ejected: its users get the default version, a tester 503 with Retry-After", async () => {
    const [stable, canary] = [await settable("stable"), await settable("canary")];
    canary.state.status = 503;
    const started = await perch(
      shopYaml({
        stable: stable.origin,
        canary: canary.origin,
        service: "outlier: { consecutiveFailures: 2, ejectFor: 30s }",
        release: "split: { canary: 1 }, override: { header: x-perch-version, allowFrom: [127.0.0.0/8] }",
        more,
      }),
    );
    const seen: (string | null)[] = [];
    for (let i = 0; i < 4; i++) seen.push((await fetch(started.origin)).headers.get("x-perch-version"));
    expect(seen).toEqual(["canary", "canary", "stable", "stable"]);
    expect(await started.metric('perch_fallbacks_total{service="shop",version="canary"}')).toBe(2);
    const tester = await fetch(started.origin, { headers: { "x-perch-version": "canary" } });
    expect([tester.status, tester.headers.get("x-perch-error")]).toEqual([503, "no-healthy-endpoint"]);
    const seconds = Number(tester.headers.get("retry-after"));
    expect(seconds).toBeGreaterThan(20);
    expect(seconds).toBeLessThanOrEqual(30);
    expect(canary.seen.length).toBe(2);
  });

  it("the last endpoint of the default version is not ejected, unless maxEjected is 100%: then the circuit is open", async () => {
    const stable = await settable("stable");
    stable.state.status = 500;
    const half = await perchTo([stable.origin], "{ consecutiveFailures: 2 }");
    for (let i = 0; i < 5; i++) expect((await fetch(half.origin)).status).toBe(500);
    const all = await perchTo([stable.origin], "{ consecutiveFailures: 2, maxEjected: 100% }");
    for (let i = 0; i < 2; i++) expect((await fetch(all.origin)).status).toBe(500);
    const refused = await fetch(all.origin);
    expect([refused.status, refused.headers.get("x-perch-error")]).toEqual([503, "no-healthy-endpoint"]);
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(20);
  });

  it("a 500 is no failure with `failures: gateway`", async () => {
    const [stable, other] = [await settable("stable"), await settable("other")];
    stable.state.status = 500;
    const { origin, metric } = await perchTo(
      [stable.origin, other.origin],
      "{ consecutiveFailures: 1, failures: gateway }",
    );
    for (let i = 0; i < 8; i++) await fetch(origin);
    expect(await metric(up("stable", stable.origin))).toBe(1);
    stable.state.status = 502;
    await expect
      .poll(async () => {
        await fetch(origin);
        return metric(up("stable", stable.origin));
      }, soon)
      .toBe(0);
  });

  it("an endpoint that refuses connections is passed over without ejection, and the service goes on", async () => {
    const [stable, dead] = [await settable("stable"), await refusedOrigin()];
    const { origin, metric } = await perchTo([stable.origin, dead], "{ consecutiveFailures: 1 }");
    for (let i = 0; i < 8; i++) expect((await fetch(origin)).status).toBe(200);
    expect(await metric(up("stable", dead))).toBe(0);
  });
});
