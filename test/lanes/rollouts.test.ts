/** @module-tag slow */
import { setTimeout as delay } from "node:timers/promises";
import { Metadata, status } from "@grpc/grpc-js";
import { describe, expect, it } from "vitest";
import type { RolloutTraffic } from "../../src/decide/release-traffic.ts";
import { attributeUnit } from "../../src/decide/unit.ts";
import type { BadAnswerQuestions, RolloutReport } from "../../src/observe/rollout/rollout-report.ts";
import { dataPlane } from "../kit/data-plane.ts";
import { rawClient, upstream } from "../kit/freed.ts";
import { grpcClient, grpcServer } from "../kit/grpc.ts";
import { lanes } from "../kit/one-service.ts";
import { refusedOrigin } from "../kit/upstream.ts";

const drawn: RolloutTraffic = {
  id: "2.4.0",
  baseline: "stable",
  candidate: "canary",
  candidateIs: "drawn",
  step: 0,
  weight: 100,
  rings: [],
};
const asked: BadAnswerQuestions = {
  failures: new Set([500, 502, 503, 504]),
  slowLimitsMs: [300],
  wantsBaselineDurations: false,
};

const trafficOf = (rollout: RolloutTraffic) => new Map([["shop", { split: undefined, rollout }]]);
const questions = new Map([["shop", asked]]);

const userOf = new Map(
  Array.from({ length: 200 }, (_, user): [string, string] => {
    const { hi, lo } = attributeUnit(`user-${user}`);
    return [`${hi} ${lo}`, `user-${user}`];
  }),
);

/** An upstream whose answer is named by the path. `-once`: only the first time that this user asks. */
function scripted(name: string, before = new Set<string>()) {
  return upstream(name, (request, response) => {
    const { url = "", headers } = request;
    const isFirst = !before.has(`${url} ${headers["x-user"]}`);
    before.add(`${url} ${headers["x-user"]}`);
    const wanted = url.replace(/^.*\//, "");
    if (wanted.endsWith("-once") && !isFirst) response.end("fine");
    else if (wanted.startsWith("reset")) request.socket.resetAndDestroy();
    else if (wanted === "cut") {
      response.writeHead(200, { "content-length": "10" }).write("12345");
      setTimeout(() => request.socket.destroy(), 20);
    } else if (wanted === "slow") setTimeout(() => response.end("late"), 350);
    else if (wanted === "never") return;
    else response.writeHead(Number.parseInt(wanted, 10)).end("as asked");
  });
}

async function lane(
  fastLane: "on" | "off",
  canary?: string,
  retries = "{ attempts: 1, on: [503, reset-before-response] }",
) {
  const before = new Set<string>();
  const [stable, other] = [await scripted("stable", before), await scripted("canary", before)];
  const reports: RolloutReport[] = [];
  const started = await dataPlane(
    `fastLane: ${fastLane}
attributes: { userId: { type: string, from: [{ header: x-user }] }, staff: { type: string, from: [{ header: x-staff }] } }
releases:
  shop:
    sticky: { by: userId }
    rules: [{ name: staff, when: { staff: { exists: true } }, use: canary }]
    split: { stable: 100, canary: 0 }
services:
  shop:
    versions: { stable: { endpoints: ["${stable.origin}"] }, canary: { endpoints: ["${canary ?? other.origin}"] } }
    timeouts: { connect: 1s, responseHeaders: 2s, idle: 2s }
    retries: ${retries}
  same: { versions: { stable: { endpoints: ["${stable.origin}"] } } }
routes:
  - { name: aborted, match: { path: { prefix: /aborted } }, service: shop, release: shop, fault: { abort: { percent: 100 } } }
  - { name: delayed, match: { path: { prefix: /delayed } }, service: shop, release: shop, fault: { delay: { for: 10ms, percent: 100 } } }
  - { name: same, match: { path: { prefix: /same } }, service: same, release: shop }
  - { name: moved, match: { path: { prefix: /moved } }, redirect: { host: elsewhere.example } }
  - { name: small, match: { path: { prefix: /small } }, service: shop, release: shop, maxBodySize: 1 }
  - { name: all, service: shop, release: shop }`,
    (report) => reports.push(report),
  );
  await started.plane.direct({ traffic: trafficOf(drawn), questions });
  /** Resolves once the request is in the access log, and so observed. */
  const logged = async (ask: () => Promise<unknown>) => {
    const before = started.lines.length;
    await ask().catch(() => {});
    await expect.poll(() => started.lines.length, { interval: 2 }).toBe(before + 1);
    return started.lines.at(-1);
  };
  const ask = (user: number, path: string, init: { method?: string; body?: string; staff?: true } = {}) => {
    const { staff, ...request } = init;
    const headers = { "x-user": `user-${user}`, ...(staff ? { "x-staff": "yes" } : {}) };
    return logged(async () => (await fetch(started.origin + path, { ...request, headers })).text());
  };
  const abandon = (user: number, path: string) =>
    logged(async () => {
      const client = await rawClient(started.port);
      client.send(`GET ${path} HTTP/1.1\r\nHost: shop\r\nx-user: user-${user}\r\n\r\n`);
      await expect.poll(() => other.seen.length + stable.seen.length, { interval: 2 }).toBeGreaterThan(0);
      await delay(30);
      client.close();
    });
  /** What was reported, once the last report is there. */
  const seen = async () => {
    await delay(150);
    const sum = (kind: "drawn" | "placed", side: "baseline" | "candidate") => ({
      good: reports.reduce((total, report) => total + report[kind][side].good, 0),
      failed: reports.reduce((total, report) => total + report[kind][side].failed, 0),
    });
    return {
      sightings: reports
        .flatMap(({ sightings }) => sightings)
        .map(({ hi, lo, side, odds, seen, bad }) => [userOf.get(`${hi} ${lo}`), side, odds, seen, bad]),
      drawn: [sum("drawn", "baseline"), sum("drawn", "candidate")],
      placed: [sum("placed", "baseline"), sum("placed", "candidate")],
    };
  };
  return { ...started, ask, abandon, seen, reports };
}

describe.each(lanes)("a rollout, in the $lane lane", ({ fastLane }) => {
  it("is told which users the candidate served badly, and of nobody whom it did not serve", async () => {
    const { ask, abandon, seen } = await lane(fastLane);
    await ask(1, "/200");
    await ask(1, "/200");
    await ask(1, "/200");
    await ask(2, "/500");
    await ask(3, "/404");
    await ask(4, "/cut");
    await ask(5, "/slow");
    await ask(6, "/503-once");
    await ask(7, "/reset");
    await ask(8, "/reset-once");
    await ask(9, "/reset", { method: "POST", body: "x" });
    // None of these says anything of the candidate.
    await ask(20, "/aborted");
    await ask(21, "/delayed/500");
    await ask(22, "/same/500");
    await ask(23, "/moved");
    await ask(24, "/small", { method: "POST", body: "too long" });
    await abandon(25, "/never");
    expect(await seen()).toEqual({
      sightings: [
        ["user-1", "candidate", 1, "first", 0],
        ["user-1", "candidate", 1, "returned", 0],
        ["user-2", "candidate", 1, "first", 1],
        ["user-3", "candidate", 1, "first", 0],
        ["user-4", "candidate", 1, "first", 1],
        ["user-5", "candidate", 1, "first", 2],
        ["user-6", "candidate", 1, "first", 1],
        ["user-7", "candidate", 1, "first", 1],
        // The endpoint may just have closed an idle connection.
        ["user-8", "candidate", 1, "first", 0],
        ["user-9", "candidate", 1, "first", 1],
      ],
      drawn: [
        { good: 0, failed: 0 },
        { good: 6, failed: 5 },
      ],
      placed: [
        { good: 0, failed: 0 },
        { good: 0, failed: 0 },
      ],
    });
  });

  it("is told on which side each user is, by the version assigned", async () => {
    const { plane, ask, seen, lines } = await lane(fastLane);
    await plane.direct({ traffic: trafficOf({ ...drawn, weight: 50 }), questions });
    for (let user = 0; user < 30; user++) await ask(user, "/200");
    const { sightings, drawn: counts } = await seen();
    const sides = lines.map(({ assigned, version }) => ((assigned ?? version) === "canary" ? "candidate" : "baseline"));
    expect(new Set(sides).size).toBe(2);
    expect(sightings).toEqual(sides.map((side, user) => [`user-${user}`, side, 0.5, "first", 0]));
    expect(counts).toEqual(
      ["baseline", "candidate"].map((side) => ({ good: sides.filter((each) => each === side).length, failed: 0 })),
    );
  });

  it("is told of users that a rule placed, apart", async () => {
    const { ask, seen } = await lane(fastLane);
    await ask(1, "/500", { staff: true });
    await ask(2, "/200", { staff: true });
    expect(await seen()).toMatchObject({ sightings: [], placed: [{}, { good: 1, failed: 1 }] });
  });

  it("is told of a candidate that cannot be reached, though the default version answers for it", async () => {
    const { ask, seen } = await lane(fastLane, await refusedOrigin());
    const lines = [await ask(1, "/200"), await ask(2, "/200"), await ask(3, "/500")];
    expect(lines.map((line) => [line?.["version"], line?.["failedAttempt"], line?.["fallback"]])).toEqual([
      ["stable", true, true],
      ["stable", true, true],
      ["stable", true, true],
    ]);
    expect((await seen()).sightings).toEqual([1, 2, 3].map((user) => [`user-${user}`, "candidate", 1, "first", 1]));
  });

  it("is told of a candidate that failed where the default version rescued the request", async () => {
    const { ask, seen } = await lane(
      fastLane,
      undefined,
      "{ attempts: 1, on: [503, reset-before-response], otherVersion: true }",
    );
    const rescued = [await ask(1, "/503-once"), await ask(2, "/reset-once")];
    expect(rescued.map((line) => [line?.["status"], line?.["failedAttempt"]])).toEqual([
      [200, true],
      [200, true],
    ]);
    expect((await seen()).sightings.map(([user, , , , bad]) => [user, bad])).toEqual([
      ["user-1", 1],
      ["user-2", 1],
    ]);
  });

  it("hears of a bad answer at once, and what it directs then holds for the next request", async () => {
    const { plane, origin, reports, lines } = await lane(fastLane);
    const get = (user: number) => fetch(`${origin}/500`, { headers: { "x-user": `user-${user}` } });
    await get(1);
    expect(reports).toHaveLength(1);
    void plane.direct({ traffic: trafficOf({ ...drawn, candidateIs: "withdrawn", step: 0 }), questions });
    await get(1);
    await expect.poll(() => lines.map(({ version }) => version)).toEqual(["canary", "stable"]);
    await delay(150);
    expect(reports).toHaveLength(1);
  });

  it("that fails to be judged disturbs no request", async () => {
    const { logged, origin, plane } = await dataPlane(
      `fastLane: ${fastLane}
releases: { shop: { split: { stable: 100, canary: 0 } } }
services: { shop: { versions: { stable: { endpoints: ["${(await scripted("a")).origin}"] }, canary: { endpoints: ["${(await scripted("b")).origin}"] } } } }
routes: [{ name: all, service: shop, release: shop }]`,
      () => {
        throw new Error("a bug");
      },
    );
    await plane.direct({ traffic: trafficOf(drawn), questions });
    const statuses = [(await fetch(`${origin}/500`)).status, (await fetch(`${origin}/200`)).status];
    expect(statuses).toEqual([500, 200]);
    await expect.poll(() => logged.filter((line) => line.includes("a rollout could not be judged")).length).toBe(2);
  });

  it("leaves its traces in the access log: an opaque unit, the odds, and a failed attempt", async () => {
    const { plane, ask } = await lane(fastLane);
    await plane.direct({ traffic: trafficOf({ ...drawn, weight: 25 }), questions });
    const first = await ask(1, "/200");
    const again = await ask(1, "/503-once");
    const other = await ask(2, "/200");
    const placed = await ask(1, "/200", { staff: true });
    const { hi, lo } = attributeUnit("user-1");
    expect(first).toMatchObject({ unit: expect.stringMatching(/^[0-9a-f]{16}$/), odds: 0.25 });
    expect(first?.["unit"]).not.toContain((hi >>> 0).toString(16));
    expect(first?.["unit"]).not.toContain((lo >>> 0).toString(16));
    expect([again?.["unit"], other?.["unit"] === first?.["unit"]]).toEqual([first?.["unit"], false]);
    expect([first?.["failedAttempt"], again?.["failedAttempt"]]).toEqual([undefined, true]);
    expect([placed?.["unit"], placed?.["odds"]]).toEqual([undefined, undefined]);
  });
});

it("a gRPC call counts by its trailers", async () => {
  const canary = await grpcServer({
    unary: (call, answer) => {
      if (call.request === "fine") answer(null, "fine");
      else answer({ code: Number(call.request), details: "as asked", name: "", message: "" });
    },
  });
  const reports: RolloutReport[] = [];
  const { plane, port, lines } = await dataPlane(
    `releases: { shop: { sticky: { by: userId }, split: { stable: 100, canary: 0 } } }
attributes: { userId: { type: string, from: [{ header: x-user }] } }
services:
  shop:
    protocol: http2
    versions: { stable: { endpoints: ["${canary}"] }, canary: { endpoints: ["${canary}"] } }
routes: [{ name: all, service: shop, release: shop }]`,
    (report) => reports.push(report),
    "h2c: true",
  );
  await plane.direct({ traffic: trafficOf(drawn), questions });
  const client = grpcClient(port);
  const call = async (user: number, message: string) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const metadata = Metadata.fromHttp2Headers({ "x-user": `user-${user}` });
    client.unary(message, metadata, {}, () => resolve());
    await promise;
    await expect.poll(() => lines.length, { interval: 2 }).toBe(user + 1);
  };
  await call(0, "fine");
  await call(1, String(status.UNAVAILABLE));
  await call(2, String(status.NOT_FOUND));
  await call(3, String(status.INTERNAL));
  await delay(150);
  const sightings = reports.flatMap((report) => report.sightings);
  expect(sightings.map(({ hi, lo, bad }) => [userOf.get(`${hi} ${lo}`), bad])).toEqual([
    ["user-0", 0],
    ["user-1", 1],
    ["user-2", 0],
    ["user-3", 1],
  ]);
});
