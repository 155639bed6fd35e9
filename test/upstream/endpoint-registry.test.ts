import { describe, expect, it } from "vitest";
import type { Endpoint } from "../../src/upstream/endpoint.ts";
import type { Condition } from "../../src/upstream/endpoint-health.ts";
import { type EndpointEvents, EndpointRegistry } from "../../src/upstream/endpoint-registry.ts";
import { addressOf, type DnsSpec, type EndpointSpec } from "../../src/upstream/service-spec.ts";

const noDns: DnsSpec = { servers: [], minTtlMs: 5_000, maxTtlMs: 300_000 };

const at = (...ports: number[]): EndpointSpec[] =>
  ports.map((port) => ({ kind: "address", address: addressOf(`http://10.0.0.1:${port}`) }));

/** Writes down what it hears. */
class Diary implements EndpointEvents {
  readonly lines: string[] = [];
  added({ version, origin }: Parameters<EndpointEvents["added"]>[0]): void {
    this.lines.push(`+ ${version} ${origin}`);
  }
  retired({ version, origin }: Parameters<EndpointEvents["retired"]>[0]): void {
    this.lines.push(`- ${version} ${origin}`);
  }
  changed({ version, origin }: Endpoint, { state }: Condition): void {
    this.lines.push(`${state} ${version} ${origin}`);
  }
}

describe("EndpointRegistry", () => {
  it("keeps the endpoints that successive generations name, and tells of the others once", () => {
    const diary = new Diary();
    const registry = new EndpointRegistry(diary);
    const first = registry.next(noDns);
    const before = first.set("shop", "stable", at(1, 2));
    first.commit();
    const next = registry.next(noDns);
    const after = next.set("shop", "stable", at(2, 3));
    next.commit();
    expect(after.current[0]).toBe(before.current[1]);
    expect([...registry.all()].map(({ origin }) => origin)).toEqual(["http://10.0.0.1:2", "http://10.0.0.1:3"]);
    expect(before.current.map(({ retired }) => retired)).toEqual([true, false]);
    expect(diary.lines).toEqual([
      "+ stable http://10.0.0.1:1",
      "+ stable http://10.0.0.1:2",
      "+ stable http://10.0.0.1:3",
      "- stable http://10.0.0.1:1",
    ]);
  });

  it("keeps the state of one address apart for each version that names it", () => {
    const registry = new EndpointRegistry(new Diary());
    const generation = registry.next(noDns);
    const stable = generation.set("shop", "stable", at(1));
    const canary = generation.set("shop", "canary", at(1));
    generation.commit();
    expect(stable.current[0]).not.toBe(canary.current[0]);
  });

  it("tells of what is believed of an endpoint, when it changes", () => {
    const diary = new Diary();
    const registry = new EndpointRegistry(diary);
    const generation = registry.next(noDns);
    const stable = generation.set("shop", "stable", at(1));
    generation.commit();
    for (const nowMs of [0, 1]) stable.current[0]?.health.refused(nowMs);
    stable.current[0]?.health.reached(2);
    expect(diary.lines.slice(1)).toEqual(["refused stable http://10.0.0.1:1", "up stable http://10.0.0.1:1"]);
  });

  it("changes nothing by a generation that is never committed", () => {
    const diary = new Diary();
    const registry = new EndpointRegistry(diary);
    const first = registry.next(noDns);
    const active = first.set("shop", "stable", at(1));
    first.commit();
    const aside = registry.next(noDns).set("shop", "stable", at(2));
    expect(aside.current).toEqual([]);
    expect(active.current.map(({ origin, retired }) => [origin, retired])).toEqual([["http://10.0.0.1:1", false]]);
    expect(diary.lines).toEqual(["+ stable http://10.0.0.1:1"]);
  });
});
