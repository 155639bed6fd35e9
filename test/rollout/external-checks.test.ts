import { describe, expect, it } from "vitest";
import type { CheckSpec } from "../../src/decide/rollout-spec.ts";
import { ExternalChecks } from "../../src/rollout/external/external-checks.ts";
import { scheduleTimeout } from "../../src/upstream/clock.ts";
import { freeAfterTest, upstream } from "../kit/freed.ts";
import { Prometheus, prometheusIsMissing } from "../kit/prometheus.ts";
import { freePort } from "../kit/upstream.ts";
import { MovedClock } from "./moved-clock.ts";

const eventually: typeof expect.poll = (read) => expect.poll(read, { timeout: 10_000, interval: 2 });

const of = { release: "shop", rollout: "2.4.0" };
const everyMs = 60_000;

function prometheus(url: string, change: object = {}): CheckSpec {
  const limits = { atLeast: 0.9, atMost: undefined };
  return { kind: "prometheus", name: "orders", url, query: "a+b", ...limits, everyMs, failures: 3, ...change };
}

function webhook(url: string, beforeStep?: number): CheckSpec {
  return { kind: "webhook", name: "smoke", url, beforeStep, everyMs };
}

function checking(checks: readonly CheckSpec[]) {
  const clock = new MovedClock(1_000);
  let changes = 0;
  const external = new ExternalChecks(of, checks, {
    nowMs: clock.nowMs,
    schedule: clock.schedule,
    changed: () => void changes++,
  });
  freeAfterTest(() => external.close());
  /** Resolves once this many answers have come, and the next questions wait. */
  const answers = async (count: number) => {
    await eventually(() => changes).toBe(count);
  };
  return { clock, external, answers, result: () => external.results()[0] };
}

/** A server whose answer the test sets. */
async function answering(first: readonly [status: number, body?: string]) {
  const server = { next: first, origin: "", seen: [] as { url: string; body: string; method: string }[] };
  const started = await upstream("asked", (_request, response) => {
    const [status, body = ""] = server.next;
    response.writeHead(status).end(body);
  });
  return Object.assign(server, { origin: started.origin, seen: started.seen });
}

const value = (text: string) =>
  [200, JSON.stringify({ status: "success", data: { resultType: "scalar", result: [1, text] } })] as const;

describe("a check of Prometheus", () => {
  it("asks at once, and after each answer again", async () => {
    const server = await answering(value("0.95"));
    const { clock, answers, result } = checking([prometheus(`${server.origin}/`)]);
    expect(result()).toEqual({
      ...{ name: "orders", metric: "prometheus", verdict: "not-enough-data", atMs: null, limit: 0.9, evidence: null },
      ...{ baseline: null, candidate: null, interval: null, why: "the query has not been answered yet" },
    });
    await answers(1);
    expect(server.seen[0]).toMatchObject({ method: "POST", url: "/api/v1/query", body: "query=a%2Bb" });
    const why = "0.95 is within the limits";
    expect(result()).toMatchObject({ verdict: "pass", atMs: 1_000, evidence: 0.95, limit: 0.9, why });
    await eventually(() => clock.waitsMs).toEqual([everyMs]);
    clock.advance(everyMs);
    await answers(2);
    // It has passed since then.
    expect(result()).toMatchObject({ verdict: "pass", atMs: 1_000 });
  });

  it("fails after so many bad values in a row; a good one passes it, and no value is neither", async () => {
    const server = await answering(value("0.5"));
    const { clock, answers, result } = checking([prometheus(server.origin)]);
    const story: readonly [next: readonly [number, string?], verdict: string, why: string][] = [
      [value("0.5"), "not-enough-data", "0.5 is below 0.9 (1 bad value in a row, 3 fail)"],
      [value("0.5"), "not-enough-data", "0.5 is below 0.9 (2 bad values in a row, 3 fail)"],
      [value("0.9"), "pass", "0.9 is within the limits"],
      [value("0.5"), "not-enough-data", "0.5 is below 0.9 (1 bad value in a row, 3 fail)"],
      [value("0.5"), "not-enough-data", "0.5 is below 0.9 (2 bad values in a row, 3 fail)"],
      [value("NaN"), "not-enough-data", "the query gave no value: it gives NaN"],
      [[503], "not-enough-data", "the query gave no value: it answered 503"],
      [value("0.4"), "fail", "0.4 is below 0.9 (3 bad values in a row, 3 fail)"],
      [value("0.4"), "fail", "0.4 is below 0.9 (4 bad values in a row, 3 fail)"],
      [value("1"), "pass", "1 is within the limits"],
    ];
    for (const [index, [next, verdict, why]] of story.entries()) {
      if (index > 0) {
        await eventually(() => clock.waitsMs).toEqual([everyMs]);
        server.next = next;
        clock.advance(everyMs);
      }
      await answers(index + 1);
      expect(result()).toMatchObject({ verdict, why });
    }
  });

  it("that is above its limit names that limit", async () => {
    const server = await answering(value("7"));
    const { answers, result } = checking([prometheus(server.origin, { atMost: 5, failures: 1 })]);
    await answers(1);
    const why = "7 is above 5 (1 bad value in a row, 1 fail)";
    expect(result()).toMatchObject({ verdict: "fail", atMs: 1_000, limit: 5, evidence: 7, why });
  });

  it("of a Prometheus that is down never fails", async () => {
    const { clock, answers, result } = checking([prometheus(`http://127.0.0.1:${await freePort()}`, { failures: 1 })]);
    for (let count = 1; count <= 5; count++) {
      await answers(count);
      const why = "the query gave no value: the connection was refused";
      expect(result()).toMatchObject({ verdict: "not-enough-data", atMs: null, why });
      await eventually(() => clock.waitsMs).toEqual([everyMs]);
      clock.advance(everyMs);
    }
  });

  it("that is not answered within 10 s has no value", async () => {
    const silent = await upstream("silent", () => {});
    const { clock, answers, result } = checking([prometheus(silent.origin)]);
    await eventually(() => silent.seen.length).toBe(1);
    clock.advance(10_000);
    await answers(1);
    expect(result()?.why).toBe("the query gave no value: no answer within 10 s");
  });

  it.skipIf(prometheusIsMissing)("reads a real Prometheus", { tags: ["slow"] }, async () => {
    const { origin } = await Prometheus.start("127.0.0.1:1", "groups: []");
    const queries = [
      "vector(0.95)",
      "1",
      "absent_metric",
      "0/0",
      "sum(",
      'vector(1) or label_replace(vector(2), "a", "b", "", "")',
    ];
    const { promise, resolve } = Promise.withResolvers<void>();
    let answers = 0;
    const checks = queries.map((query) => prometheus(origin, { query }));
    const external = new ExternalChecks(of, checks, {
      nowMs: () => 0,
      schedule: scheduleTimeout,
      changed: () => void (++answers === queries.length && resolve()),
    });
    freeAfterTest(() => external.close());
    await promise;
    expect(external.results().map(({ verdict, why }) => [verdict, why])).toEqual([
      ["pass", "0.95 is within the limits"],
      ["pass", "1 is within the limits"],
      ["not-enough-data", "the query gave no value: nothing matches it"],
      ["not-enough-data", "the query gave no value: it gives NaN"],
      ["not-enough-data", expect.stringMatching(/Prometheus answered 400: .*parse error/)],
      ["not-enough-data", "the query gave no value: it gives 2 series; let it give one, such as with sum()"],
    ]);
  });
});

describe("a gate", () => {
  it("is asked once its step could begin, until it answers 2xx", async () => {
    const server = await answering([503]);
    const { clock, external, answers, result } = checking([webhook(`${server.origin}/smoke`, 2)]);
    expect([external.mayBegin(1), result()?.why]).toEqual([true, "it is asked before step 2"]);
    expect([external.mayBegin(2), external.mayBegin(2)]).toEqual([false, false]);
    await answers(1);
    expect(server.seen.map(({ body }) => JSON.parse(body) as unknown)).toEqual([{ ...of, step: 2 }]);
    const waits = "step 2 waits: it answered 503; asked again every 60 s";
    expect(result()).toMatchObject({ verdict: "not-enough-data", atMs: null, why: waits });
    await eventually(() => clock.waitsMs).toEqual([everyMs]);
    server.next = [204];
    clock.advance(everyMs);
    await answers(2);
    expect(external.mayBegin(2)).toBe(true);
    expect(result()).toMatchObject({ verdict: "pass", atMs: 61_000, why: "it answered 204 for step 2" });
    expect(clock.waitsMs).toEqual([]);
  });

  it("of every step is asked anew for each", async () => {
    const server = await answering([200]);
    const { external, answers, result } = checking([webhook(server.origin)]);
    expect(result()?.why).toBe("it is asked before each step");
    expect(external.mayBegin(1)).toBe(false);
    await answers(1);
    expect([external.mayBegin(1), external.mayBegin(2)]).toEqual([true, false]);
    await answers(2);
    expect([external.mayBegin(2), server.seen.length]).toEqual([true, 2]);
  });

  it("that cannot be reached holds, and says so", async () => {
    const { external, answers, result } = checking([webhook(`http://127.0.0.1:${await freePort()}`)]);
    external.mayBegin(1);
    await answers(1);
    const why = "step 1 waits: the connection was refused; asked again every 60 s";
    expect(result()).toMatchObject({ verdict: "not-enough-data", why });
  });

  it("does not spare the others: all are asked", async () => {
    const [holding, passing] = [await answering([500]), await answering([200])];
    const { external, answers } = checking([webhook(holding.origin), webhook(passing.origin)]);
    expect(external.mayBegin(1)).toBe(false);
    await answers(2);
    expect(external.results().map(({ verdict }) => verdict)).toEqual(["not-enough-data", "pass"]);
    expect(external.mayBegin(1)).toBe(false);
  });
});

it("checks of counts are none of its own, and without gates every step may begin", () => {
  const { external } = checking([{ kind: "compare", name: "errors", metric: "errors", over: undefined }]);
  expect([external.results(), external.mayBegin(1)]).toEqual([[], true]);
});

it("asks nothing more once it is closed", async () => {
  const silent = await upstream("silent", () => {});
  const { clock, external } = checking([prometheus(silent.origin), webhook(silent.origin)]);
  external.mayBegin(1);
  await eventually(() => silent.seen.length).toBe(2);
  await external.close();
  await eventually(() => clock.waitsMs).toEqual([]);
  expect(external.results().map(({ verdict }) => verdict)).toEqual(["not-enough-data", "not-enough-data"]);
});
