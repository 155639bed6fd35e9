import { describe, expect, it } from "vitest";
import { Endpoint, isBadStatus, recordFailure } from "../../src/upstream/endpoint.ts";
import { addressOf, type OutlierSpec } from "../../src/upstream/service-spec.ts";

const spec: OutlierSpec = { consecutiveFailures: 2, failures: "5xx", ejectForMs: 1_000, maxEjectedShare: 0.5 };

/** How many endpoints are ejected if all of them fail repeatedly. */
function ejected(count: number, share: number, replaceable: boolean): number {
  const endpoints = Array.from(
    { length: count },
    (_, index) => new Endpoint("shop", "stable", addressOf(`http://10.0.0.1:${index + 1}`)),
  );
  for (let round = 0; round < 5; round++) {
    for (const endpoint of endpoints) {
      recordFailure(endpoint, { endpoints, replaceable }, { ...spec, maxEjectedShare: share }, 0, "status-500");
    }
  }
  return endpoints.filter(({ up }) => !up).length;
}

describe("outlier ejection", () => {
  it.each([
    [4, 0.5, false, 2],
    [5, 0.5, false, 2],
    [10, 0.1, false, 1],
    [3, 0.1, false, 0],
    [3, 0.1, true, 1],
    [1, 0.5, false, 0],
    [1, 0.5, true, 1],
    [1, 1, false, 1],
    [3, 1, true, 3],
  ])("of %i endpoints with a share of %f, replaceable by another version: %s; ejects %i", (...row) => {
    const [count, share, replaceable, wanted] = row;
    expect(ejected(count, share, replaceable)).toBe(wanted);
  });

  it.each([
    ["5xx", [499, 500, 501, 503, 599], [false, true, true, true, true]],
    ["gateway", [500, 501, 502, 503, 504, 505], [false, false, true, true, true, false]],
  ] as const)("counts the statuses of %s as failures", (failures, statuses, wanted) => {
    expect(statuses.map((status) => isBadStatus(status, { ...spec, failures }))).toEqual(wanted);
  });
});
