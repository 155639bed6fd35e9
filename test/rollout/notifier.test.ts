import { createHmac } from "node:crypto";
import type { ServerResponse } from "node:http";
import { describe, expect, it } from "vitest";
import { createLogger } from "../../src/observe/log.ts";
import { Notifier } from "../../src/rollout/external/notifier.ts";
import { freeAfterTest, upstream } from "../kit/freed.ts";
import { freePort } from "../kit/upstream.ts";
import { MovedClock } from "./moved-clock.ts";
import { rolloutEvent } from "./saved-states.ts";

const eventually: typeof expect.poll = (read) => expect.poll(read, { timeout: 10_000, interval: 2 });

const startMs = 1_700_000_000_500;
const secrets = [Buffer.from("new"), Buffer.from("old")];
const event = (id: number) => ({ ...rolloutEvent, id });

function notifying(randomFraction = () => 1) {
  const clock = new MovedClock(startMs);
  const lines: string[] = [];
  const log = createLogger({ level: "info", nowMs: clock.nowMs, to: { write: (line) => lines.push(line) } });
  const notifier = new Notifier({ log, nowMs: clock.nowMs, schedule: clock.schedule, randomFraction });
  freeAfterTest(() => notifier.close());
  return { clock, notifier, lines, logged: () => lines.map((line) => JSON.parse(line) as Record<string, unknown>) };
}

type Answer = (response: ServerResponse) => void;
const status =
  (code: number): Answer =>
  (response) =>
    void response.writeHead(code).end();

/** A receiver that gives these answers in turn, the last one for ever. */
async function receiver(...answers: Answer[]) {
  let count = 0;
  return upstream("receiver", (_request, response) => answers[Math.min(count++, answers.length - 1)]?.(response));
}

describe("a notification", () => {
  it("is the event, signed with the first secret over the time and the body", async () => {
    const to = await receiver(status(204));
    const { notifier } = notifying();
    notifier.notify([{ url: `${to.origin}/hook`, secrets }], event(1));
    await eventually(() => notifier.counts).toEqual({ delivered: 1, failed: 0, dropped: 0 });
    const [seen] = to.seen;
    expect([seen?.method, seen?.url, seen?.headers["content-type"]]).toEqual(["POST", "/hook", "application/json"]);
    expect(JSON.parse(seen?.body ?? "")).toEqual(event(1));
    expect(seen?.headers["x-perch-timestamp"]).toBe("1700000000");
    const digest = createHmac("sha256", "new").update(`1700000000.${seen?.body}`).digest("hex");
    expect(seen?.headers["x-perch-signature"]).toBe(`v1=${digest}`);
  });

  it("without a secret is not signed", async () => {
    const to = await receiver(status(200));
    const { notifier } = notifying();
    notifier.notify([{ url: to.origin, secrets: [] }], event(1));
    await eventually(() => notifier.counts.delivered).toBe(1);
    expect(to.seen[0]?.headers["x-perch-signature"]).toBeUndefined();
  });

  const later: readonly [sentence: string, answer: Answer, why: string][] = [
    ["is answered 500", status(500), "it answered 500"],
    ["is answered 429", status(429), "it answered 429"],
    ["is cut", (response) => void response.destroy(), "the connection was cut"],
  ];
  it.each(later)("that %s is tried again, as the same one, signed anew", async (_sentence, answer, why) => {
    const to = await receiver(answer, answer, status(200));
    const { clock, notifier, logged } = notifying();
    notifier.notify([{ url: to.origin, secrets }], event(1));
    await eventually(() => clock.waitsMs).toEqual([1_000]);
    clock.advance(1_000);
    await eventually(() => clock.waitsMs).toEqual([2_000]);
    clock.advance(2_000);
    await eventually(() => notifier.counts).toEqual({ delivered: 1, failed: 0, dropped: 0 });
    const sent = (name: string) => to.seen.map(({ headers }) => headers[name]);
    expect(new Set(sent("idempotency-key")).size).toBe(1);
    expect(sent("x-perch-timestamp")).toEqual(["1700000000", "1700000001", "1700000003"]);
    expect(new Set(sent("x-perch-signature")).size).toBe(3);
    const msg = "a rollout's notification will be retried";
    expect(logged()).toEqual([expect.objectContaining({ to: to.origin, why, msg })]);
  });

  it("that is not answered within 5 s is tried again", async () => {
    const to = await receiver(() => {}, status(200));
    const { clock, notifier, logged } = notifying();
    notifier.notify([{ url: to.origin, secrets }], event(1));
    await eventually(() => to.seen.length).toBe(1);
    expect(clock.waitsMs).toEqual([5_000]);
    clock.advance(5_000);
    await eventually(() => clock.waitsMs).toEqual([1_000]);
    expect(logged()[0]?.["why"]).toBe("no answer within 5 s");
    clock.advance(1_000);
    await eventually(() => notifier.counts.delivered).toBe(1);
  });

  it.each([301, 400, 404])("that is answered %i is given up, and the next one sent", async (code) => {
    const to = await receiver(status(code), status(200));
    const { notifier, lines, logged } = notifying();
    for (const id of [1, 2]) notifier.notify([{ url: `${to.origin}/s3cr3t`, secrets }], event(id));
    await eventually(() => notifier.counts).toEqual({ delivered: 1, failed: 1, dropped: 0 });
    expect(logged()[0]?.["why"]).toBe(`it answered ${code}`);
    // The path may be a secret.
    expect(lines.join()).not.toContain("s3cr3t");
  });

  it("waits longer each time, half of it by chance, up to a minute, and is given up after about ten", async () => {
    const to = { origin: `http://127.0.0.1:${await freePort()}` };
    const { clock, notifier, logged } = notifying(() => 0);
    notifier.notify([{ url: to.origin, secrets }], event(1));
    const waits: number[] = [];
    while (notifier.counts.failed === 0) {
      // The limit of a try under way is not a wait.
      await eventually(() => notifier.counts.failed > 0 || !clock.waitsMs.includes(5_000)).toBe(true);
      const [wait] = clock.waitsMs;
      if (wait === undefined) continue;
      waits.push(wait);
      clock.advance(wait);
    }
    expect(waits.slice(0, 8)).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
    const sumMs = waits.reduce((sum, wait) => sum + wait, 0);
    expect(sumMs).toBeGreaterThanOrEqual(600_000);
    expect(sumMs).toBeLessThan(660_000);
    expect(logged().map(({ why }) => why)).toEqual(["the connection was refused", "the connection was refused"]);
  });
});

describe("notifications", () => {
  it("come in the order of the events, one at a time", async () => {
    let underWay = 0;
    let most = 0;
    const to = await receiver((response) => {
      most = Math.max(most, ++underWay);
      setImmediate(() => {
        underWay--;
        response.end();
      });
    });
    const { notifier } = notifying();
    for (let id = 0; id < 20; id++) notifier.notify([{ url: to.origin, secrets }], event(id));
    await eventually(() => notifier.counts.delivered).toBe(20);
    const ids = to.seen.map(({ body }) => (JSON.parse(body) as { id: number }).id);
    expect(ids).toEqual(Array.from({ length: 20 }, (_, id) => id));
    expect(most).toBe(1);
  });

  it("to a target that is down do not delay others; the oldest are dropped, counted and logged", async () => {
    const down = await receiver(status(503));
    const up = await receiver(status(200));
    const { notifier, logged } = notifying();
    const targets = [down, up].map(({ origin }) => ({ url: origin, secrets }));
    notifier.notify(targets, event(0));
    await eventually(() => down.seen.length).toBe(1);
    for (let id = 1; id <= 103; id++) {
      notifier.notify(targets, event(id));
      await eventually(() => notifier.counts.delivered).toBe(id + 1);
    }
    expect(notifier.counts).toEqual({ delivered: 104, failed: 0, dropped: 3 });
    expect(logged().filter(({ msg }) => msg === "a rollout's notification was dropped")).toHaveLength(3);
  });

  it("to an address that cannot be one are tried, and disturb nobody", async () => {
    const { clock, notifier, logged } = notifying();
    notifier.notify([{ url: "no address", secrets }], event(1));
    await eventually(() => clock.waitsMs).toEqual([1_000]);
    expect(logged()[0]?.["to"]).toBe("an invalid URL");
  });

  it("are given up at the end, waiting or under way", async () => {
    const silent = await receiver(() => {});
    const failing = await receiver(status(500));
    const { clock, notifier } = notifying();
    const targets = [silent, failing].map(({ origin }) => ({ url: origin, secrets }));
    notifier.notify(targets, event(1));
    await eventually(() => clock.waitsMs).toEqual([1_000, 5_000]);
    await notifier.close();
    await eventually(() => clock.waitsMs).toEqual([]);
    notifier.notify(targets, event(2));
    expect([silent.seen.length, failing.seen.length]).toEqual([1, 1]);
    expect(notifier.counts).toEqual({ delivered: 0, failed: 0, dropped: 0 });
  });
});
