import { describe, expect, it } from "vitest";
import { createDnsLookup } from "../../src/upstream/dns-lookup.ts";
import { type DnsEvents, DnsResolver, type DnsTimers } from "../../src/upstream/dns-resolver.ts";
import type { DnsAnswer, DnsQuestion, DnsRecord } from "../../src/upstream/service-spec.ts";
import { Bell } from "../kit/bell.ts";
import { TestDnsServer, type Zone } from "../kit/dns-server.ts";
import { freeAfterTest } from "../kit/freed.ts";

/** A clock that the test moves. Rings when a timer is set. */
class ManualTimers implements DnsTimers {
  nowAtMs = 0;
  fraction = 0;
  readonly bell = new Bell();
  timers: { readonly atMs: number; readonly run: () => void }[] = [];

  nowMs(): number {
    return this.nowAtMs;
  }

  readonly randomFraction = () => this.fraction;

  schedule(ms: number, run: () => void): () => void {
    const timer = { atMs: this.nowAtMs + ms, run };
    this.timers.push(timer);
    this.bell.ring();
    return () => {
      this.timers = this.timers.filter((one) => one !== timer);
    };
  }

  /** Time until the next query. */
  get pauseMs(): number | undefined {
    return this.timers[0] && this.timers[0].atMs - this.nowAtMs;
  }

  /** Advances to the next query and runs it. */
  next(): void {
    const [timer, ...others] = this.timers;
    if (timer === undefined) throw new Error("no timer is set");
    this.timers = others;
    this.nowAtMs = timer.atMs;
    timer.run();
  }
}

const shop: DnsQuestion = { name: "shop.example", wanted: "addresses" };

async function followed(zone: Zone = { "shop.example": { A: ["10.0.0.1", "10.0.0.2"] } }) {
  const server = await TestDnsServer.start(zone);
  server.ttlSeconds = 20;
  const spec = { servers: [server.address], minTtlMs: 5_000, maxTtlMs: 60_000 };
  const clock = new ManualTimers();
  const answers: { readonly kind: DnsAnswer["kind"]; readonly kept: number }[] = [];
  const changes: string[] = [];
  const events: DnsEvents = {
    answered: (_question, { kind }, kept) => void answers.push({ kind, kept }),
    changed: (_question, records) => void changes.push(texts(records)),
  };
  const names = new DnsResolver(
    createDnsLookup((ms, run) => clock.schedule(ms, run)),
    clock,
    events,
  );
  freeAfterTest(async () => names.stop());
  const follow = (next: readonly DnsQuestion[]) => names.follow(next, spec, () => {});
  const answered = async (count: number) => {
    expect(await clock.bell.until(() => answers.length >= count && clock.timers.length > 0, 5_000)).toBe(true);
    return answers.at(-1);
  };
  /** Runs the next query; returns its outcome. */
  const next = async () => {
    const before = answers.length;
    clock.next();
    return answered(before + 1);
  };
  follow([shop]);
  return { server, clock, names, follow, answers, changes, answered, next, known: () => texts(names.records(shop)) };
}

const texts = (records: readonly DnsRecord[]): string => records.map(({ address }) => address).join(" ");

describe("a name", () => {
  it.each([
    ["its TTL", 20, 0, 20_000],
    ["its TTL plus jitter", 20, 0.5, 22_000],
    ["the minimum TTL", 0, 0, 5_000],
    ["the maximum TTL", 86_400, 0, 60_000],
  ])("is resolved again after %s", async (_sentence, ttlSeconds, fraction, pauseMs) => {
    const { server, clock, next, answered } = await followed();
    server.ttlSeconds = ttlSeconds;
    clock.fraction = fraction;
    await answered(1);
    await next();
    expect(clock.pauseMs).toBe(pauseMs);
  });

  it("changes if the set of records changes, not if their order does", async () => {
    const { server, changes, next, answered, known } = await followed();
    await answered(1);
    server.zone = { "shop.example": { A: ["10.0.0.2", "10.0.0.1"] } };
    await next();
    server.zone = { "shop.example": { A: ["10.0.0.2"], AAAA: ["fd00::1"] } };
    await next();
    expect(changes).toEqual(["10.0.0.1 10.0.0.2", "10.0.0.2 fd00::1"]);
    expect(known()).toBe("10.0.0.2 fd00::1");
  });

  it.each(["servfail", "refused"] as const)(
    "keeps its last good answer while the name server responds with %s",
    async (mood) => {
      const { server, clock, next, answered, known } = await followed();
      await answered(1);
      server.mood = mood;
      const pauses: unknown[] = [];
      for (let at = 0; at < 20; at++) {
        expect(await next()).toEqual({ kind: "failed", kept: 2 });
        pauses.push(clock.pauseMs);
      }
      expect(pauses.slice(0, 6)).toEqual([500, 1000, 2000, 4000, 5000, 5000]);
      expect(known()).toBe("10.0.0.1 10.0.0.2");
      server.mood = "answers";
      await next();
      expect(clock.pauseMs).toBe(20_000);
    },
  );

  it.each([
    ["does not exist", {}],
    ["has no address", { "shop.example": {} }],
  ])("keeps its last good answer for 30 s after it %s", async (_sentence, zone) => {
    const { server, clock, next, answered, known } = await followed();
    await answered(1);
    server.zone = zone;
    expect(await next()).toEqual({ kind: "empty", kept: 2 });
    const sinceMs = clock.nowAtMs;
    while (known() !== "") expect((await next())?.kind).toBe("empty");
    expect(clock.nowAtMs - sinceMs).toBeGreaterThanOrEqual(30_000);
    expect(clock.nowAtMs - sinceMs).toBeLessThan(36_000);
  });

  it("restarts the 30 s of empty answers after a good one", async () => {
    const { server, clock, next, answered, known } = await followed();
    await answered(1);
    const { zone } = server;
    for (let at = 0; at < 3; at++) {
      server.zone = {};
      const sinceMs = clock.nowAtMs;
      while (clock.nowAtMs - sinceMs < 20_000) await next();
      expect(known()).toBe("10.0.0.1 10.0.0.2");
      server.zone = zone;
      await next();
    }
  });

  it("keeps the addresses of a family whose query fails, and updates those of the other", async () => {
    const { server, next, answered, known } = await followed();
    server.zone = { "shop.example": { A: ["10.0.0.1"], AAAA: ["fd00::1"] } };
    await answered(1);
    await next();
    server.zone = { "shop.example": { A: ["10.0.0.9"], AAAA: ["fd00::2"] } };
    server.moods.set("AAAA", "servfail");
    await next();
    expect(known()).toBe("10.0.0.9 fd00::1");
  });

  it("that cannot be resolved at first is retried until it can", async () => {
    const { server, clock, next, answered, known } = await followed({});
    expect(await answered(1)).toEqual({ kind: "empty", kept: 0 });
    expect(clock.pauseMs).toBe(500);
    server.zone = { "shop.example": { A: ["10.0.0.5"] } };
    await next();
    expect(known()).toBe("10.0.0.5");
  });
});

describe("a name of which one address family is late", () => {
  const both = { A: ["10.0.0.1"], AAAA: ["fd00::1"] };
  const families = [
    { late: "AAAA", first: "10.0.0.1" },
    { late: "A", first: "fd00::1" },
  ] as const;

  /** Resolved as far as the family that is not held, after its wait for the other. */
  async function withLate(type: "A" | "AAAA") {
    const setup = await followed({ "shop.example": both });
    const release = setup.server.hold(type);
    expect(await setup.clock.bell.until(() => setup.clock.timers.length === 1, 5_000)).toBe(true);
    expect(setup.clock.pauseMs).toBe(50);
    expect(setup.answers).toEqual([]);
    setup.clock.next();
    await setup.answered(1);
    return { ...setup, release };
  }

  it.each(families)("is used without $late after 50 ms, and with it once it arrives", async ({ late, first }) => {
    const { clock, answers, known, release } = await withLate(late);
    expect([known(), clock.pauseMs]).toEqual([first, 20_000]);
    release();
    await expect.poll(known).toBe("10.0.0.1 fd00::1");
    expect([answers.length, clock.pauseMs, clock.timers.length]).toEqual([1, 20_000, 1]);
  });

  it("is resolved again when the TTL of the late family ends, if that is earlier", async () => {
    const { server, clock, known, release } = await withLate("AAAA");
    server.ttlSeconds = 6;
    release();
    await expect.poll(known).toBe("10.0.0.1 fd00::1");
    expect([clock.pauseMs, clock.timers.length]).toEqual([6_000, 1]);
  });

  it.each(families)("keeps the addresses of $late from earlier answers meanwhile", async ({ late }) => {
    const { server, clock, answered, next, known } = await followed({ "shop.example": both });
    await answered(1);
    await next();
    expect(known()).toBe("10.0.0.1 fd00::1");
    const release = server.hold(late);
    clock.next();
    expect(await clock.bell.until(() => clock.timers.length === 1, 5_000)).toBe(true);
    clock.next();
    await answered(3);
    expect(known()).toBe("10.0.0.1 fd00::1");
    server.zone = { "shop.example": { [late === "A" ? "AAAA" : "A"]: ["10.0.0.1"] } };
    release();
    await expect.poll(known).toBe(late === "A" ? "fd00::1" : "10.0.0.1");
  });

  it("keeps them, and what the other family has become, if the late query fails", async () => {
    const { server, clock, answered, known, changes } = await followed({ "shop.example": both });
    await answered(1);
    server.zone = { "shop.example": { A: ["10.0.0.2"] } };
    const release = server.hold("AAAA");
    clock.next();
    expect(await clock.bell.until(() => clock.timers.length === 1, 5_000)).toBe(true);
    clock.next();
    await answered(2);
    server.mood = "servfail";
    release();
    server.mood = "answers";
    // The next query asks for both families again, so the failed one has ended.
    const asked = server.asked.length;
    await expect
      .poll(async () => {
        clock.next();
        await clock.bell.until(() => clock.timers.length > 0, 5_000);
        return server.asked.slice(asked);
      })
      .toContain("shop.example AAAA");
    expect(changes).toEqual(["10.0.0.1 fd00::1", "10.0.0.2 fd00::1", "10.0.0.2"]);
    expect(known()).toBe("10.0.0.2");
  });

  it("is not asked for that family again before it has answered, and the other does not wait", async () => {
    const { server, next, known, release } = await withLate("AAAA");
    const asked = server.asked.length;
    server.zone = { "shop.example": { ...both, A: ["10.0.0.2"] } };
    await next();
    expect(server.asked.slice(asked)).toEqual(["shop.example A"]);
    expect(known()).toBe("10.0.0.2");
    release();
    await expect.poll(known).toBe("10.0.0.2 fd00::1");
  });

  it("is a target of SRV records", async () => {
    const zone = { "_http._tcp.shop.example": { SRV: ["0 1 81 shop.example"] }, "shop.example": both };
    const { server, clock, follow, names } = await followed(zone);
    const service: DnsQuestion = { name: "_http._tcp.shop.example", wanted: "services" };
    const release = server.hold("AAAA");
    follow([service]);
    const found = () => names.records(service).map(({ address, port }) => `${address} ${port}`);
    expect(await clock.bell.until(() => clock.timers.length === 1, 5_000)).toBe(true);
    clock.next();
    await expect.poll(found).toEqual(["10.0.0.1 81"]);
    release();
    await expect.poll(found).toEqual(["10.0.0.1 81", "fd00::1 81"]);
  });
});

describe("DnsResolver", () => {
  it("resolves a name once, however many endpoints and snapshots share it", async () => {
    const { server, follow, answered, answers } = await followed();
    follow([shop, shop]);
    await answered(1);
    follow([shop, shop, { ...shop }]);
    expect(server.asked.toSorted()).toEqual(["shop.example A", "shop.example AAAA"]);
    expect(answers).toHaveLength(1);
  });

  it("stops resolving a name, and forgets it, once no snapshot names it", async () => {
    const { clock, follow, answered, known } = await followed();
    await answered(1);
    follow([]);
    expect(clock.timers).toEqual([]);
    expect(known()).toBe("");
  });
});
