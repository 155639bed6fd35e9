/** @module-tag slow */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { setTimeout } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import type { ReplicaMessage } from "../../src/rollout/replicas/replica-messages.ts";
import { listening } from "../kit/freed.ts";
import {
  askRollout,
  leaseObject,
  type Replica,
  ReplicaSet,
  replicaStatus,
  rolloutAt,
  stateObject,
} from "../kit/replicas.ts";
import { Visitor } from "../kit/visitor.ts";

const long = `{ id: "2", candidate: canary, steps: [{ weight: 50, hold: 1h }, { weight: 100, hold: 1h }] }`;
const patient = { timeout: 5_000 };

/** A replica that follows a leader which answers like this. */
async function following(answer: (path: string, response: ServerResponse) => void) {
  const asked: string[] = [];
  const server = createServer((request: IncomingMessage, response) => {
    asked.push(request.url ?? "");
    request.resume().on("end", () => answer(request.url ?? "", response));
  });
  const port = await listening(server);
  const set = await ReplicaSet.start(long, []);
  const annotations = { "perch.dev/admin-address": `127.0.0.1:${port}` };
  const spec = { holderIdentity: "leader", leaseDurationSeconds: 3_600, leaseTransitions: 1 };
  set.api.put({ ...leaseObject, metadata: { ...leaseObject.metadata, annotations }, spec });
  const replica = await set.add("a", long);
  await expect.poll(() => asked.length, patient).toBeGreaterThan(0);
  return { set, replica, asked, server };
}

const answer = { term: "leader 1", taken: 0, saved: 0, statuses: [], questions: [] };
const garbage: readonly (readonly [string, string])[] = [
  ["no JSON", "<html>"],
  ["nothing", ""],
  ["null", "null"],
  ["a list", "[]"],
  ["no lists", JSON.stringify({ term: "leader 1", taken: 0, saved: 0 })],
  [
    "questions of another shape",
    JSON.stringify({ ...answer, statuses: [{ release: "shop", id: "2" }], questions: [{}] }),
  ],
  ["a status of another shape", JSON.stringify({ ...answer, statuses: [null] })],
  ["a state of another shape", JSON.stringify({ ...answer, state: { revision: 7, rollouts: [{}], splits: [] } })],
  ["a state without lists", JSON.stringify({ ...answer, state: { revision: 7 } })],
  ["a number that is none", JSON.stringify({ ...answer, taken: "many" })],
  ["17 MB", `"${"a".repeat(17 * 1024 * 1024)}"`],
];

const rollout = {
  ...{ release: "shop", id: "2", baseline: "stable", candidate: "canary", candidateEndpoints: [] },
  ...{ phase: "progressing", why: "it began", sinceMs: 0, step: 0, heldMs: 0, countedAtMs: 0, weight: 50 },
  ...{ rings: [], planned: ["50 %", "100 %"], command: "run", startedAtMs: 0, track: [] },
};
const saved = {
  ...{ format: "perch-rollouts", version: 1, revision: 1 },
  ...{ rollouts: [rollout], splits: [], events: [], judge: {} },
};

describe("a leader that answers", () => {
  test.each(garbage)("%s is said, and requests are served", async (_, text) => {
    const { replica, asked } = await following((_path, response) => void response.end(text));
    await expect
      .poll(async () => (await replicaStatus(replica)).problem, patient)
      .toMatch(/^the leading replica at 127/);
    expect((await new Visitor().get(replica.origin)).status).toBe(200);
    expect((await rolloutAt(replica)).phase).toBe("pending");
    const change = await askRollout(replica, "step");
    expect(change.status).toBe(503);
    expect(await change.json()).toMatchObject({ detail: expect.stringMatching(/^it is not known whether/) });
    const before = asked.length;
    await setTimeout(1_500);
    expect(asked.length - before).toBeLessThanOrEqual(3);
    replica.app.reload();
    expect((await new Visitor().get(replica.origin)).status).toBe(200);
  });

  test("nothing does not keep the next one from hearing at once", async () => {
    let heardMs = Number.POSITIVE_INFINITY;
    const next = createServer((request: IncomingMessage, response) => {
      heardMs = Math.min(heardMs, performance.now());
      request.resume().on("end", () => response.end(JSON.stringify({ ...answer, term: "next 2" })));
    });
    const port = await listening(next);
    const { set, asked } = await following(() => {});
    const before = asked.length;
    await expect.poll(() => asked.length, patient).toBeGreaterThan(before);
    const annotations = { "perch.dev/admin-address": `127.0.0.1:${port}` };
    const spec = { holderIdentity: "next", leaseDurationSeconds: 3_600, leaseTransitions: 2 };
    const changedMs = performance.now();
    set.api.put({ ...leaseObject, metadata: { ...leaseObject.metadata, annotations }, spec });
    await expect.poll(() => heardMs - changedMs, patient).toBeLessThan(500);
  });

  test("late hears of a bad answer that came meanwhile as soon as it has answered", async () => {
    const heard: { readonly atMs: number; readonly bad: number }[] = [];
    const server = createServer((request: IncomingMessage, response) => {
      let text = "";
      request.setEncoding("utf8").on("data", (part: string) => {
        text += part;
      });
      request.on("end", () => {
        const { reports } = JSON.parse(text) as ReplicaMessage;
        const sightings = reports.flatMap(({ report }) => report.sightings);
        heard.push({ atMs: performance.now(), bad: sightings.filter(({ bad }) => bad > 0).length });
        globalThis.setTimeout(() => response.end(JSON.stringify(answer)), 1_000);
      });
    });
    const port = await listening(server);
    const set = await ReplicaSet.start(long, []);
    const annotations = { "perch.dev/admin-address": `127.0.0.1:${port}` };
    const spec = { holderIdentity: "leader", leaseDurationSeconds: 3_600, leaseTransitions: 1 };
    set.api.put({ ...leaseObject, metadata: { ...leaseObject.metadata, annotations }, spec });
    const metadata = { ...stateObject.metadata, annotations: { "perch.dev/term": "leader 1" } };
    set.api.put({ ...stateObject, metadata, data: { "state.json": JSON.stringify(saved) } });
    const replica = await set.add("a", long);
    set.canary.status = 500;
    const before = heard.length;
    await expect.poll(() => heard.length, patient).toBe(before + 1);
    while (set.canary.seen === 0) await new Visitor().get(replica.origin);
    await expect.poll(() => heard.at(-1)?.bad, patient).toBeGreaterThan(0);
    const [late, next] = heard.slice(-2);
    expect((next?.atMs ?? 0) - (late?.atMs ?? 0)).toBeLessThan(1_500);
  });

  test("that it took nothing is not asked without a pause", async () => {
    const { set, replica, asked } = await following((_path, response) => void response.end(JSON.stringify(answer)));
    const metadata = { ...stateObject.metadata, annotations: { "perch.dev/term": "leader 1" } };
    set.api.put({ ...stateObject, metadata, data: { "state.json": JSON.stringify(saved) } });
    await expect.poll(async () => (await rolloutAt(replica)).phase, patient).toBe("progressing");
    for (let user = 0; user < 20; user++) await new Visitor().get(replica.origin);
    const before = asked.length;
    await setTimeout(1_500);
    expect(asked.length - before).toBeLessThanOrEqual(3);
  });

  test("a change never is not claimed to have changed nothing", async () => {
    const { replica } = await following((path, response) => {
      if (path.endsWith("reports")) response.end(JSON.stringify(answer));
      else response.destroy();
    });
    const change = await askRollout(replica, "step");
    expect(change.status).toBe(503);
    expect(await change.json()).toMatchObject({ detail: expect.stringMatching(/^it is not known whether/) });
  });

  test("no more, since it is gone, changes nothing", async () => {
    const { replica, server } = await following((_path, response) => void response.end(JSON.stringify(answer)));
    server.closeAllConnections();
    server.close();
    await expect
      .poll(async () => (await replicaStatus(replica)).problem, patient)
      .toMatch(/^the leading replica at 127/);
    const change = await askRollout(replica, "step");
    expect(change.status).toBe(503);
    expect(await change.json()).toMatchObject({ detail: expect.stringMatching(/^nothing changed/) });
  });
});

test.each([
  ["deletes", (set: ReplicaSet) => set.api.remove(stateObject)],
  ["empties", (set: ReplicaSet) => void set.api.put(stateObject)],
])("a rollback stays when somebody %s the state and the leader changes", async (_, spoil) => {
  const set = await ReplicaSet.start(long, ["a", "b"]);
  const leader = await set.leader();
  const [follower] = await set.followers();
  if (follower === undefined) throw new Error("no follower");
  expect((await askRollout(follower, "rollback")).status).toBe(200);
  await expect.poll(() => set.events.at(-1)?.type, patient).toBe("rolled-back");
  spoil(set);
  await expect.poll(() => set.events.at(-1)?.type, { timeout: 15_000 }).toBe("rolled-back");
  set.replicas.splice(set.replicas.indexOf(leader), 1);
  await leader.stop();
  await set.leader();
  expect(await rolloutAt(follower)).toMatchObject({ phase: "rolled-back" });
  expect((await new Visitor().get(follower.origin)).version).toBe("stable");
});

test("a step whose saving is not known is not taken back by those who saw it, and taken by all in the end", async () => {
  const set = await ReplicaSet.start(long, ["a", "b", "c"]);
  const leader = await set.leader();
  const others = await set.followers();
  await setTimeout(1_500);
  set.api.cutOffAfterWrite(/configmaps/);
  const answer = await askRollout(leader, "step");
  expect(answer.status).toBe(503);
  expect(await answer.json()).toMatchObject({ detail: expect.stringMatching(/^it is not known whether/) });
  const stepsOf = (replicas: readonly Replica[]) =>
    Promise.all(replicas.map(async (replica) => (await rolloutAt(replica)).step));
  await expect.poll(() => stepsOf(others), patient).toEqual([2, 2]);
  const untilMs = performance.now() + 3_500;
  while (performance.now() < untilMs) {
    expect(await stepsOf(others)).toEqual([2, 2]);
    await setTimeout(50);
  }
  set.api.letBack(leader.account);
  await expect.poll(() => stepsOf(set.replicas), patient).toEqual([2, 2, 2]);
  expect(set.events.map(({ type }) => type)).toEqual(["started", "step"]);
  expect((await set.leader()).account).toBe(leader.account);
});

describe("a state that somebody damages while a rollout runs", () => {
  async function damaged() {
    const set = await ReplicaSet.start(long, ["a", "b"]);
    const leader = await set.leader();
    const [follower] = await set.followers();
    if (follower === undefined) throw new Error("no follower");
    await expect.poll(async () => (await rolloutAt(follower)).step, patient).toBe(1);
    const good = set.api.object(stateObject);
    if (good === undefined) throw new Error("no state");
    const data = { "state.json": "{ damaged" };
    set.api.put({ ...good, data });
    const problem = expect.stringContaining("cannot be used and is left as it is");
    await expect.poll(async () => (await rolloutAt(leader)).stateProblem, patient).toEqual(problem);
    return { set, leader, follower, good, data, problem };
  }

  test("is left as it is by the leader, rollouts hold and say why, and go on once it is repaired", async () => {
    const { set, leader, follower, good, data, problem } = await damaged();
    const answer = await askRollout(follower, "step");
    expect(answer.status).toBe(503);
    expect(await answer.json()).toMatchObject({ detail: expect.stringMatching(/^nothing changed/) });
    for (const replica of set.replicas) {
      await expect
        .poll(() => rolloutAt(replica), patient)
        .toMatchObject({ phase: "progressing", step: 1, weight: 50, stateProblem: problem });
    }
    expect(set.api.object(stateObject)?.data).toEqual(data);
    set.api.put({ ...good });
    await expect.poll(async () => (await askRollout(leader, "step")).status, patient).toBe(200);
    await expect.poll(async () => (await rolloutAt(follower)).step, patient).toBe(2);
    await expect.poll(async () => (await rolloutAt(leader)).stateProblem, patient).toBe(null);
  });

  test("does not move anybody back when another leads", async () => {
    const { set, leader, follower, data, problem } = await damaged();
    set.replicas.splice(set.replicas.indexOf(leader), 1);
    await leader.stop();
    await set.leader();
    expect(await rolloutAt(follower)).toMatchObject({
      phase: "progressing",
      step: 1,
      weight: 50,
      stateProblem: problem,
    });
    let users = 0;
    for (let user = 0; user < 40; user++) if ((await new Visitor().get(follower.origin)).version === "canary") users++;
    expect(users).toBeGreaterThan(5);
    expect(set.api.object(stateObject)?.data).toEqual(data);
  });
});

describe("a replica that stops", () => {
  test("while the API hangs does not wait for it", async () => {
    const set = await ReplicaSet.start(long, ["a"]);
    const leader = await set.leader();
    set.api.delay(60_000);
    void askRollout(leader, "step").catch(() => {});
    await setTimeout(500);
    const beganMs = performance.now();
    await leader.stop();
    expect(performance.now() - beganMs).toBeLessThan(5_000);
  });

  test("while the leader hangs does not wait for it", async () => {
    const { replica } = await following(() => {});
    void askRollout(replica, "step").catch(() => {});
    await setTimeout(500);
    const beganMs = performance.now();
    await replica.stop();
    expect(performance.now() - beganMs).toBeLessThan(5_000);
  });
});
