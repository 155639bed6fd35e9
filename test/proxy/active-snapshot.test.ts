import { expect, it } from "vitest";
import type { TrafficByRelease } from "../../src/decide/release-traffic.ts";
import { shopYaml } from "../kit/one-service.ts";
import { activeSnapshot } from "../kit/snapshot.ts";

const yaml = shopYaml({
  stable: "http://127.0.0.1:1",
  canary: "http://127.0.0.1:2",
  release: "split: { stable: 100, canary: 0 }",
});

const drawing = (weight: number): TrafficByRelease =>
  new Map([
    [
      "shop",
      {
        split: undefined,
        rollout: { id: "1", baseline: "stable", candidate: "canary", candidateIs: "drawn", step: 0, weight, rings: [] },
      },
    ],
  ]);

it("traffic changes what the current releases do; a prepared configuration begins with the traffic of its commit", () => {
  const active = activeSnapshot(yaml);
  const shop = () => active.current.releases.get("shop");
  const share = () => shop()?.policy.weights?.["canary"];
  expect(share()).toBe(0);
  active.direct(drawing(5));
  expect(share()).toBe(5);
  const before = shop();
  const commit = active.prepare(active.current.config, "next");
  active.direct(drawing(10));
  expect([share(), shop()]).toEqual([10, before]);
  commit(drawing(20));
  expect(share()).toBe(20);
  expect(shop()).not.toBe(before);
  expect(shop()?.tap).toBe(before?.tap);
  active.direct(new Map());
  expect(share()).toBe(0);
});
