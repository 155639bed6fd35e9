import { describe, expect, it } from "vitest";
import type { Endpoint } from "../../src/upstream/endpoint.ts";
import type { Condition } from "../../src/upstream/endpoint-health.ts";
import { type EndpointEvents, EndpointRegistry } from "../../src/upstream/endpoint-registry.ts";
import { addressOf, type DnsSpec, type EndpointSpec } from "../../src/upstream/service-spec.ts";

const noDns: DnsSpec = { servers: [], minTtlMs: 5_000, maxTtlMs: 300_000 };

const at = (...ports: number[]): EndpointSpec[] =>
  ports.map((port) => ({ kind: "address", address: addressOf(`http://10.0.0.1:${port}`) }));

class EventLog implements EndpointEvents {
  readonly lines: string[] = [];
  unsolicited(): void {}
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
  it("keeps the endpoints that successive generations share, and reports the others once", () => {
    const log = new EventLog();
    const registry = new EndpointRegistry(log);
    const first = registry.next(noDns);
    const before = first.set("shop", "stable", at(1, 2));
    first.commit();
    const next = registry.next(noDns);
    const after = next.set("shop", "stable", at(2, 3));
    next.commit();
    expect(after.current[0]).toBe(before.current[1]);
    expect([...registry.all()].map(({ origin }) => origin)).toEqual(["http://10.0.0.1:2", "http://10.0.0.1:3"]);
    expect(before.current.map(({ retired }) => retired)).toEqual([true, false]);
    expect(log.lines).toEqual([
      "+ stable http://10.0.0.1:1",
      "+ stable http://10.0.0.1:2",
      "+ stable http://10.0.0.1:3",
      "- stable http://10.0.0.1:1",
    ]);
  });

  it("keeps separate state for each version that has the same address", () => {
    const registry = new EndpointRegistry(new EventLog());
    const generation = registry.next(noDns);
    const stable = generation.set("shop", "stable", at(1));
    const canary = generation.set("shop", "canary", at(1));
    generation.commit();
    expect(stable.current[0]).not.toBe(canary.current[0]);
  });

  it("reports changes of an endpoint's health", () => {
    const log = new EventLog();
    const registry = new EndpointRegistry(log);
    const generation = registry.next(noDns);
    const stable = generation.set("shop", "stable", at(1));
    generation.commit();
    for (const nowMs of [0, 1]) stable.current[0]?.health.refused(nowMs);
    stable.current[0]?.health.reached(2);
    expect(log.lines.slice(1)).toEqual(["refused stable http://10.0.0.1:1", "up stable http://10.0.0.1:1"]);
  });

  it("is unchanged by a generation that is never committed", () => {
    const log = new EventLog();
    const registry = new EndpointRegistry(log);
    const first = registry.next(noDns);
    const active = first.set("shop", "stable", at(1));
    first.commit();
    const aside = registry.next(noDns).set("shop", "stable", at(2));
    expect(aside.current).toEqual([]);
    expect(active.current.map(({ origin, retired }) => [origin, retired])).toEqual([["http://10.0.0.1:1", false]]);
    expect(log.lines).toEqual(["+ stable http://10.0.0.1:1"]);
  });

  it("keeps the set of a version that has not changed", () => {
    const log = new EventLog();
    const registry = new EndpointRegistry(log);
    const first = registry.next(noDns);
    const kept = first.set("shop", "stable", at(1, 2), 7);
    first.commit();
    const before = kept.current;
    const next = registry.next(noDns);
    next.keep(kept);
    next.set("shop", "canary", at(3), 5);
    next.commit();
    expect(kept.current).toEqual(before);
    expect(Array.from(registry.all(), ({ origin, maxInFlight }) => [origin, maxInFlight])).toEqual([
      ["http://10.0.0.1:1", 7],
      ["http://10.0.0.1:2", 7],
      ["http://10.0.0.1:3", 5],
    ]);
    expect(log.lines.slice(2)).toEqual(["+ canary http://10.0.0.1:3"]);
  });

  it("finds an endpoint that came while the generation was made, and none that went", () => {
    const name: EndpointSpec = {
      kind: "dns",
      question: { name: "shop", wanted: "addresses" },
      scheme: "http",
      port: 1,
    };
    const answers = { records: [] as string[], changed: () => {} };
    const log = new EventLog();
    const registry = new EndpointRegistry(log, {
      records: () => answers.records.map((address) => ({ address, port: undefined })),
      follow: (_questions, _spec, changed) => {
        answers.changed = changed;
      },
    });
    const first = registry.next(noDns);
    first.set("shop", "stable", [name]);
    first.commit();
    // The same endpoint, now by its address: `host` tells them apart otherwise.
    const address = { ...addressOf("http://10.0.0.1:1"), host: "shop" };
    const next = registry.next(noDns);
    const after = next.set("shop", "stable", [{ kind: "address", address }]);
    answers.records = ["10.0.0.1"];
    answers.changed();
    const [known] = registry.all();
    next.commit();
    expect(after.current).toEqual([known]);
    expect(after.current[0]).toBe(known);
    expect([known?.retired, log.lines]).toEqual([false, ["+ stable http://10.0.0.1:1"]]);
  });
});
