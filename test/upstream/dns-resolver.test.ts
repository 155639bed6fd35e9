import { describe, expect, it } from "vitest";
import { createDnsLookup } from "../../src/upstream/dns-lookup.ts";
import { type DnsClock, type DnsEvents, DnsResolver } from "../../src/upstream/dns-resolver.ts";
import type { DnsAnswer, DnsQuestion, DnsRecord } from "../../src/upstream/service-spec.ts";
import { Bell } from "../kit/bell.ts";
import { TestDnsServer, type Zone } from "../kit/dns-server.ts";
import { freeAfterTest } from "../kit/freed.ts";

/** A clock that stands until it is moved. Rings when something is planned. */
class StillClock implements DnsClock {
  nowAtMs = 0;
  fraction = 0;
  readonly bell = new Bell();
  timers: { readonly atMs: number; readonly run: () => void }[] = [];

  nowMs(): number {
    return this.nowAtMs;
  }

  readonly randomFraction = () => this.fraction;

  after(ms: number, run: () => void): () => void {
    const timer = { atMs: this.nowAtMs + ms, run };
    this.timers.push(timer);
    this.bell.ring();
    return () => {
      this.timers = this.timers.filter((one) => one !== timer);
    };
  }

  /** How long until the next question. */
  get pauseMs(): number | undefined {
    return this.timers[0] && this.timers[0].atMs - this.nowAtMs;
  }

  /** To the moment of the next question, which is then asked. */
  next(): void {
    const [timer, ...others] = this.timers;
    if (timer === undefined) throw new Error("nothing is planned");
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
  const clock = new StillClock();
  const answers: { readonly kind: DnsAnswer["kind"]; readonly kept: number }[] = [];
  const changes: string[] = [];
  const events: DnsEvents = {
    answered: (_question, { kind }, kept) => void answers.push({ kind, kept }),
    changed: (_question, records) => void changes.push(texts(records)),
  };
  const names = new DnsResolver(createDnsLookup(), clock, events);
  freeAfterTest(async () => names.stop());
  const follow = (next: readonly DnsQuestion[]) => names.follow(next, spec, () => {});
  const answered = async (count: number) => {
    expect(await clock.bell.until(() => answers.length >= count && clock.timers.length > 0, 5_000)).toBe(true);
    return answers.at(-1);
  };
  /** What becomes of the next question. */
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
    ["its time to live", 20, 0, 20_000],
    ["its time to live and some, so that not all replicas ask at once", 20, 0.5, 22_000],
    ["a while at least", 0, 0, 5_000],
    ["a while at most", 86_400, 0, 60_000],
  ])("is asked for again after %s", async (_sentence, ttlSeconds, fraction, pauseMs) => {
    const { server, clock, next, answered } = await followed();
    server.ttlSeconds = ttlSeconds;
    clock.fraction = fraction;
    await answered(1);
    await next();
    expect(clock.pauseMs).toBe(pauseMs);
  });

  it("changes with its answers, whatever their order", async () => {
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
    "keeps its last good answer while the name server says %s",
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
    ["that there is no such name", {}],
    ["that the name has no address", { "shop.example": {} }],
  ])("keeps its last good answer for 30 s while the name server says %s", async (_sentence, zone) => {
    const { server, clock, next, answered, known } = await followed();
    await answered(1);
    server.zone = zone;
    expect(await next()).toEqual({ kind: "empty", kept: 2 });
    const sinceMs = clock.nowAtMs;
    while (known() !== "") expect((await next())?.kind).toBe("empty");
    expect(clock.nowAtMs - sinceMs).toBeGreaterThanOrEqual(30_000);
    expect(clock.nowAtMs - sinceMs).toBeLessThan(36_000);
  });

  it("starts to count empty answers anew after a good one", async () => {
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

  it("keeps the addresses of a family for which the name server fails, and takes what is new of the other", async () => {
    const { server, next, answered, known } = await followed();
    server.zone = { "shop.example": { A: ["10.0.0.1"], AAAA: ["fd00::1"] } };
    await answered(1);
    await next();
    server.zone = { "shop.example": { A: ["10.0.0.9"], AAAA: ["fd00::2"] } };
    server.moods.set("AAAA", "servfail");
    await next();
    expect(known()).toBe("10.0.0.9 fd00::1");
  });

  it("that can not be resolved from the start is asked for until it can", async () => {
    const { server, clock, next, answered, known } = await followed({});
    expect(await answered(1)).toEqual({ kind: "empty", kept: 0 });
    expect(clock.pauseMs).toBe(500);
    server.zone = { "shop.example": { A: ["10.0.0.5"] } };
    await next();
    expect(known()).toBe("10.0.0.5");
  });
});

describe("names", () => {
  it("are asked for once, however many endpoints and snapshots name them", async () => {
    const { server, follow, answered, answers } = await followed();
    follow([shop, shop]);
    await answered(1);
    follow([shop, shop, { ...shop }]);
    expect(server.asked.toSorted()).toEqual(["shop.example A", "shop.example AAAA"]);
    expect(answers).toHaveLength(1);
  });

  it("are asked for no more once no snapshot names them, and forgotten", async () => {
    const { clock, follow, answered, known } = await followed();
    await answered(1);
    follow([]);
    expect(clock.timers).toEqual([]);
    expect(known()).toBe("");
  });
});
