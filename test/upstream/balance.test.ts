import { describe, expect, it } from "vitest";
import { pickEndpoint } from "../../src/upstream/balance.ts";
import { Endpoint } from "../../src/upstream/endpoint.ts";
import { addressOf } from "../../src/upstream/endpoint-address.ts";

const endpoints = (count: number) =>
  Array.from(
    { length: count },
    (_, index) => new Endpoint("shop", "stable", addressOf(`http://127.0.0.1:${9000 + index}`)),
  );

/** Answers these numbers in turn, over and over. */
const fractions = (...values: number[]) => {
  let next = 0;
  return () => values[next++ % values.length] ?? 0;
};

describe("pickEndpoint", () => {
  it("takes the less busy of the two drawn", () => {
    const [a, b, c] = endpoints(3) as [Endpoint, Endpoint, Endpoint];
    a.inFlight = 5;
    b.inFlight = 1;
    c.inFlight = 9;
    expect(pickEndpoint([a, b, c], 0, fractions(0, 0), [])).toBe(b);
    expect(pickEndpoint([a, b, c], 0, fractions(0, 0.6), [])).toBe(a);
  });

  it("always compares two different endpoints", () => {
    const [a, b] = endpoints(2) as [Endpoint, Endpoint];
    a.inFlight = 1;
    for (const first of [0, 0.3, 0.6, 0.99]) {
      for (const second of [0, 0.5, 0.99]) expect(pickEndpoint([a, b], 0, fractions(first, second), [])).toBe(b);
    }
  });

  it("passes over endpoints that are paused or were tried", () => {
    const [a, b, c] = endpoints(3) as [Endpoint, Endpoint, Endpoint];
    a.health.refused(0);
    for (const first of [0, 0.4, 0.9]) expect(pickEndpoint([a, b, c], 0, fractions(first, 0), [b])).toBe(c);
    expect(pickEndpoint([a, b, c], 0, fractions(0), [b, c])).toBeUndefined();
  });

  it("answers undefined where there is none at all", () => {
    expect(pickEndpoint([], 0, fractions(0), [])).toBeUndefined();
  });
});
