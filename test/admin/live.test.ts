import { describe, expect, test } from "vitest";
import type { AdminView } from "../../src/admin/api.ts";
import { packageVersion } from "../../src/package-version.ts";
import { listening, logged, numbers, ticks } from "./live-server.ts";
import { endpoint } from "./memory-live.ts";
import { bearer } from "./memory-rollouts.ts";
import type { StreamClient } from "./stream-client.ts";

const lastId = (client: StreamClient) => client.events.findLast(({ event }) => event === "log")?.id ?? "";

describe("/api/live begins", () => {
  test("with all that is so", async () => {
    const { live, server, following } = await listening();
    const client = await following();
    expect(client.text).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(client.text).toMatch(/\r\ncontent-type: text\/event-stream\r\n/i);
    expect(client.text).toMatch(/\r\ncache-control: no-store\r\n/i);
    expect(client.body).toMatch(/^retry: 2000\n\nevent: state\n/);
    expect(client.of("state")).toEqual([
      {
        instance: "here-1",
        version: packageVersion,
        now: "1970-01-01T00:00:00.000Z",
        access: { caller: null, change: "token-needed" },
        config: (await server.inject("/api/config")).json(),
        rollouts: (await server.inject("/api/rollouts")).json(),
        endpoints: [endpoint],
        releases: live.currentReleases,
        ruleHits: { shop: { east: [3, 900] } },
        recent: { slotMs: 10_000, newestMs: 0, releases: { shop: { stable: [[10, 1]] } } },
        tick: null,
      },
    ]);
  });

  test("with the last second, once there was one, and the log after a mark", async () => {
    const { live, following } = await listening();
    live.pass();
    live.happens("one");
    live.happens("two", { release: "shop", detail: "a\nb" });
    const client = await following();
    await client.until(() => client.of("log").length === 2);
    expect(client.events.map(({ event }) => event)).toEqual(["state", "log-reset", "log", "log"]);
    expect(client.of("state")[0]?.["tick"]).toEqual(live.currentTick);
    expect(client.events[3]).toEqual({
      id: "here-1.2",
      event: "log",
      data: {
        ...{ id: 2, at: "1970-01-01T00:00:00.000Z", kind: "config", type: "reloaded", level: "info", text: "two" },
        ...{ release: "shop", by: null, detail: "a\nb", step: null, weight: null, phase: null },
      },
    });
  });

  test.each([
    { about: "a token", headers: bearer, tokens: undefined, change: "allowed", caller: /^token [0-9a-f]{6}$/ },
    { about: "no token, where there is one", headers: {}, tokens: undefined, change: "token-needed", caller: /^null$/ },
    {
      about: "no token, where there is none",
      headers: {},
      tokens: [],
      change: "no-token-configured",
      caller: /^null$/,
    },
  ])("with what the caller may do, as /api/access: $about", async ({ headers, tokens, change, caller }) => {
    const { server, following } = await listening(tokens === undefined ? {} : { tokens: () => tokens });
    const [state] = (await following(headers)).of("state");
    expect(state?.["access"]).toEqual({
      caller: null,
      change,
      ...(change === "allowed" && { caller: expect.any(String) }),
    });
    const { access } = { access: (await server.inject({ url: "/api/access", headers })).json() };
    expect(access).toEqual(state?.["access"]);
    expect(String(access.caller)).toMatch(caller);
  });
});

describe("each second of /api/live", () => {
  test("has its numbers, and nothing else while nothing else changes", async () => {
    const { live, following } = await listening();
    const client = await following();
    live.pass();
    live.pass();
    await client.until(() => ticks(client) === 2);
    expect(client.events.map(({ event }) => event)).toEqual(["state", "log-reset", "tick", "tick"]);
    expect(client.of("tick").map(({ atMs }) => atMs)).toEqual([1_000, 2_000]);
  });

  test("has what differs from what was sent last, whole and once", async () => {
    let hash = "abc";
    const config: AdminView["config"] = () => ({
      active: { file: undefined, hash, loadedAtMs: 0, warnings: [] },
      lastError: undefined,
      restartNeeded: [],
    });
    const { live, rollouts, following } = await listening({ view: { config } });
    const client = await following();
    const down = { ...endpoint, state: "failing" } as const;
    live.currentEndpoints = [down];
    live.pass();
    live.pass();
    hash = "def";
    rollouts.status = { ...rollouts.status, revision: 8 };
    live.currentReleases = [];
    live.pass();
    await client.until(() => ticks(client) === 3);
    expect(client.events.slice(2).map(({ event }) => event)).toEqual(["change", "tick", "tick", "change", "tick"]);
    const [first, second] = client.of("change");
    expect(first).toEqual({ endpoints: [down] });
    expect(second).toMatchObject({ config: { active: { hash: "def" } }, rollouts: { revision: 8 }, releases: [] });
    expect(Object.keys(second ?? {})).toEqual(["config", "rollouts", "releases"]);
  });

  test("has a comment now and then, also where there are no numbers yet", async () => {
    const { live, following } = await listening({ heartbeatMs: 5 });
    const client = await following();
    live.announce();
    await client.until(() => (client.text.match(/: still here\n\n/g)?.length ?? 0) >= 3);
    expect(ticks(client)).toBe(0);
  });

  test("is the same for fifty readers, and asked of the source once", async () => {
    const { live, following } = await listening();
    const clients = await Promise.all(numbers(1, 50).map(() => following()));
    // One look for all that came within the same second.
    expect(live.asked).toEqual({ releases: 1, endpoints: 1, tick: 1, ruleHits: 1, log: 1 });
    expect(live.followers).toBe(1);
    for (const second of numbers(1, 3)) {
      live.happens(`in second ${second}`);
      live.currentEndpoints = [{ ...endpoint, why: `second ${second}` }];
      live.pass();
      await Promise.all(
        clients.map((client) => client.until(() => ticks(client) === second && logged(client).length === second)),
      );
    }
    expect(live.asked).toEqual({ releases: 4, endpoints: 4, tick: 4, ruleHits: 1, log: 4 });
    expect(new Set(clients.map(({ body }) => body)).size).toBe(1);
    const kinds = ["change", "tick", "log"];
    expect(clients[0]?.events.map(({ event }) => event)).toEqual(["state", "log-reset", ...kinds, ...kinds, ...kinds]);
  });

  test("is not worked out for nobody", async () => {
    const { live, following } = await listening();
    live.pass();
    expect(live.asked).toEqual({ releases: 0, endpoints: 0, tick: 0, ruleHits: 0, log: 0 });
    const client = await following();
    client.socket.destroy();
    await expect.poll(() => live.followers).toBe(0);
    const { asked } = live;
    const before = { ...asked };
    live.pass();
    expect(asked).toEqual(before);
    live.currentEndpoints = [];
    expect((await following()).of("state")[0]?.["endpoints"]).toEqual([]);
  });

  test("gives the state as it is by then to one that comes later", async () => {
    const { live, following } = await listening();
    const early = await following();
    live.currentEndpoints = [];
    live.pass();
    await early.until(() => ticks(early) === 1);
    const late = await following();
    expect(late.of("state")).toMatchObject([{ endpoints: [], tick: { atMs: 1_000 } }]);
    expect(late.of("change")).toEqual([]);
  });

  test("tells one that came between two seconds what has changed since the first of them", async () => {
    const { live, following } = await listening();
    const early = await following();
    live.currentEndpoints = [];
    live.happens("between");
    const late = await following();
    live.pass();
    await Promise.all([early, late].map((client) => client.until(() => logged(client).length === 1)));
    for (const client of [early, late]) {
      expect(client.of("change")).toEqual([{ endpoints: [] }]);
      expect(logged(client)).toEqual([1]);
    }
  });
});

describe("resuming /api/live", () => {
  test("loses and doubles no entry, wherever the connection breaks", async () => {
    const { live, following } = await listening();
    const seen: unknown[] = [];
    let headers = {};
    for (const round of numbers(1, 6)) {
      // Some before, some between two seconds, some while nobody reads.
      live.happens("before");
      const client = await following(headers);
      if (round > 1) expect(client.of("log-reset")).toEqual([]);
      live.happens("within");
      if (round % 2 === 0) live.pass();
      live.pass();
      await client.until(
        () => ticks(client) === (round % 2 === 0 ? 2 : 1) && logged(client).includes(live.log.after(0).length),
      );
      seen.push(...logged(client));
      headers = { "last-event-id": lastId(client) };
      client.socket.destroy();
      if (round % 3 === 0) await expect.poll(() => live.followers).toBe(0);
      live.happens("after");
    }
    expect(seen).toEqual(numbers(1, seen.length));
    expect(seen.length).toBe(17);
  });

  test.each([
    { about: "another instance", id: "there-9.2" },
    { about: "an entry that is yet to come", id: "here-1.9" },
  ])("from $about begins again", async ({ id }) => {
    const { live, following } = await listening();
    for (const text of ["a", "b", "c"]) live.happens(text);
    const client = await following({ "last-event-id": id });
    await client.until(() => logged(client).length === 3);
    expect(client.of("state")[0]?.["instance"]).toBe("here-1");
    expect(client.events.map(({ event }) => event)).toEqual(["state", "log-reset", "log", "log", "log"]);
  });

  test.each([
    { about: "fresh", headers: {} },
    { about: "from too far back", headers: { "last-event-id": "here-1.40" } },
  ])("$about, has the last 200 entries", async ({ headers }) => {
    const { live, following } = await listening();
    for (const number of numbers(1, 250)) live.happens(`${number}`);
    const client = await following(headers);
    await client.until(() => logged(client).includes(250));
    expect(client.of("log-reset")).toEqual([{}]);
    expect(logged(client)).toEqual(numbers(51, 250));
  });

  test.each(["abc", "here-1.", ".3", "here 1.3", "here-1.1234567890123456", `${"x".repeat(129)}.1`])(
    "Last-Event-ID: %s is no id",
    async (id) => {
      const { server } = await listening();
      const answer = await server.inject({ url: "/api/live", headers: { "last-event-id": id } });
      expect([answer.statusCode, answer.json().error]).toEqual([400, "bad-query"]);
    },
  );
});
