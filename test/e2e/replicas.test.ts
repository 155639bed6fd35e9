/** @module-tag slow */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  askRollout,
  leaseObject,
  ReplicaSet,
  replicaStatus,
  rolloutAt,
  stateObject,
  withToken,
} from "../kit/replicas.ts";
import { Visitor } from "../kit/visitor.ts";

const long = `{ id: "2", candidate: canary, steps: [{ weight: 50, hold: 1h }, { weight: 100, hold: 1h }] }`;
const patient = { timeout: 20_000 };

describe("three replicas with one state", () => {
  test("one of them leads, and all of them follow the same rollout", async () => {
    const set = await ReplicaSet.start(long);
    await set.leader();
    expect(await set.leaders()).toHaveLength(1);
    const leads = await Promise.all(set.replicas.map(({ metric }) => metric("perch_replica_leads")));
    expect(leads.sort()).toEqual([0, 0, 1]);
    expect(await set.replicas[0]?.metric("perch_replica_reports_dropped_total")).toBe(0);
    for (const replica of set.replicas) {
      await expect.poll(() => rolloutAt(replica), patient).toMatchObject({ phase: "progressing", step: 1, weight: 50 });
    }
    const writers = new Set(set.api.writes.filter(({ status }) => status < 300).map(({ account }) => account));
    expect(writers.size).toBe(1);
  });

  test("a change asked of any of them is made by the leader, and that one answers once it follows it", async () => {
    const set = await ReplicaSet.start(long);
    const [follower] = await set.followers();
    if (follower === undefined) throw new Error("no follower");
    const answer = await askRollout(follower, "step");
    expect(answer.status).toBe(200);
    expect(await answer.json()).toMatchObject({ changed: true, rollout: { step: 2, weight: 100 } });
    expect((await new Visitor().get(follower.origin)).version).toBe("canary");
    for (const replica of set.replicas) {
      await expect.poll(async () => (await rolloutAt(replica)).step, patient).toBe(2);
      const { events } = (await eventsOf(replica)) as { events: string[] };
      expect(events).toContain("step");
    }
  });

  test("the candidate's failures at all of them are one verdict, and nobody meets it after", async () => {
    const set = await ReplicaSet.start(long);
    await set.leader();
    set.canary.status = 500;
    let failures = 0;
    const phases = async () => Promise.all(set.replicas.map(async (each) => (await rolloutAt(each)).phase));
    for (let user = 0; user < 300 && (await phases()).some((phase) => phase !== "rolled-back"); user++) {
      const replica = set.replicas[user % 3];
      if (replica !== undefined && (await new Visitor().get(replica.origin)).status === 500) failures++;
    }
    expect(await phases()).toEqual(["rolled-back", "rolled-back", "rolled-back"]);
    // Few users are enough, and those who came until the last replica knew.
    expect(failures).toBeGreaterThan(0);
    expect(failures).toBeLessThan(100);
    const before = set.canary.seen;
    for (const replica of set.replicas) for (let user = 0; user < 20; user++) await new Visitor().get(replica.origin);
    expect(set.canary.seen).toBe(before);
  });

  test("a user who met a failure at two replicas counts once", async () => {
    const set = await ReplicaSet.start(
      `{ id: "2", candidate: canary, onFail: pause, steps: [{ weight: 100, hold: 1h }] }`,
    );
    await set.leader();
    set.canary.status = 500;
    const visitors = Array.from({ length: 4 }, () => new Visitor());
    for (const visitor of visitors) for (const { origin } of set.replicas) await visitor.get(origin);
    const users = async () => (await rolloutAt(await set.leader())).users.candidate;
    await expect.poll(users, patient).toEqual({ users: 4, bad: 4 });
    const [replica] = await set.followers();
    if (replica === undefined) throw new Error("no follower");
    await expect.poll(async () => (await rolloutAt(replica)).users.candidate, patient).toEqual({ users: 4, bad: 4 });
  });

  test("when the leader stops, another leads at once with what all had seen", async () => {
    const set = await ReplicaSet.start(
      `{ id: "2", candidate: canary, onFail: pause, steps: [{ weight: 100, hold: 1h }] }`,
    );
    const leader = await set.leader();
    set.canary.status = 500;
    for (let user = 0; user < 6; user++) await new Visitor().get(set.replicas[user % 3]?.origin ?? "");
    await expect.poll(async () => (await rolloutAt(leader)).users.candidate.bad, patient).toBe(6);
    await leader.stop();
    set.replicas.splice(set.replicas.indexOf(leader), 1);
    const beganMs = performance.now();
    const next = await set.leader();
    expect(performance.now() - beganMs).toBeLessThan(5_000);
    expect(next).not.toBe(leader);
    await expect.poll(async () => (await rolloutAt(next)).users.candidate, patient).toEqual({ users: 6, bad: 6 });
    const { identity: holderIdentity } = await replicaStatus(next);
    expect(set.api.object(leaseObject)?.spec).toMatchObject({ holderIdentity });
  });

  test("while the API is away nothing moves, and requests are answered; then it goes on", async () => {
    const set = await ReplicaSet.start(long);
    const [follower] = await set.followers();
    if (follower === undefined) throw new Error("no follower");
    set.api.away();
    await expect.poll(async () => (await set.leaders()).length, patient).toBe(0);
    const answer = await askRollout(follower, "step");
    expect(answer.status).toBe(503);
    expect(await answer.json()).toMatchObject({ detail: expect.stringContaining("nothing changed") });
    for (const { origin } of set.replicas) expect((await new Visitor().get(origin)).status).toBe(200);
    for (const replica of set.replicas) expect(await rolloutAt(replica)).toMatchObject({ step: 1, weight: 50 });
    await set.api.back();
    await set.leader();
    expect((await askRollout(follower, "step")).status).toBe(200);
  });

  test("a start without the API goes on with the copy of the state, where there is a folder for it", async () => {
    const set = await ReplicaSet.start(long, []);
    const first = await set.add("a", long, set.folder);
    await set.leader();
    expect((await askRollout(first, "step")).status).toBe(200);
    await expect
      .poll(async () => readFile(join(set.folder, "shared-state.json"), "utf8"), patient)
      .toMatch(/"weight":100/);
    set.api.away();
    await first.stop();
    const second = await set.add("a", long, set.folder);
    expect(await rolloutAt(second)).toMatchObject({ step: 2, weight: 100, stateProblem: expect.any(String) });
    expect((await new Visitor().get(second.origin)).version).toBe("canary");
    const without = await set.add("b", long);
    expect(await rolloutAt(without)).toMatchObject({ phase: "pending", stateProblem: expect.any(String) });
    expect((await new Visitor().get(without.origin)).version).toBe("stable");
  });

  test("a cap holds over all of them", async () => {
    const set = await ReplicaSet.start(
      `{ id: "2", candidate: canary, caps: { users: 20 }, steps: [{ weight: 100, hold: 1h }] }`,
    );
    await set.leader();
    let users = 0;
    const isOver = async () => (await rolloutAt(await set.leader())).phase === "rolled-back";
    for (; users < 200 && !(await isOver()); users++) await new Visitor().get(set.replicas[users % 3]?.origin ?? "");
    const { checks } = await rolloutAt(await set.leader());
    expect(checks.find(({ verdict }) => verdict === "fail")?.metric).toBe("cap");
    expect(users).toBeGreaterThanOrEqual(20);
    // What came within the second in which the others report.
    expect(users).toBeLessThan(150);
  });

  test("reports and changes of other replicas need the token, the leader, and the right form", async () => {
    const set = await ReplicaSet.start(long, ["a", "b"]);
    const leader = await set.leader();
    const [follower] = await set.followers();
    if (follower === undefined) throw new Error("no follower");
    const none = { good: 0, failed: 0 };
    const sides = { baseline: none, candidate: none };
    const sighting = { hi: 1, lo: 2, side: "candidate", odds: 0.5, seen: "first", bad: 1, goodBefore: 0 };
    const messageWith = (changed: object) => ({
      ...{ replica: "other", term: "", revision: 0, withdrawn: [] },
      reports: [
        {
          number: 1,
          report: {
            ...{ release: "shop", id: "2", drawn: sides, placed: sides, baselineDurations: [] },
            sightings: [{ ...sighting, ...changed }],
          },
        },
      ],
    });
    const reports = "/api/replicas/reports";
    expect((await post(leader, reports, messageWith({}), {})).status).toBe(401);
    for (const wrong of [{ odds: 2 }, { side: "other" }, { bad: -1 }, { hi: "1" }, { more: 1 }]) {
      expect((await post(leader, reports, messageWith(wrong))).status, JSON.stringify(wrong)).toBe(400);
    }
    expect((await post(follower, reports, messageWith({}))).status).toBe(409);
    const taken = await post(leader, reports, messageWith({}));
    expect(await taken.json()).toMatchObject({ taken: 1, saved: 0, statuses: [{ users: { candidate: { bad: 1 } } }] });
    const again = await post(leader, reports, messageWith({}));
    expect(await again.json()).toMatchObject({ taken: 1, statuses: [{ users: { candidate: { users: 1, bad: 1 } } }] });
    const changes = "/api/replicas/changes";
    const change = { why: "test", by: "test" };
    expect((await post(leader, changes, { kind: "change", release: "shop", change })).status).toBe(400);
    expect((await post(leader, changes, { kind: "other", release: "shop", change })).status).toBe(400);
    const inTwoLines = { kind: "change", release: "shop", verb: "pause", change: { ...change, why: "one\ntwo" } };
    expect((await post(leader, changes, inTwoLines)).status).toBe(400);
    const asked = { kind: "change", release: "shop", verb: "pause", change };
    expect((await post(follower, changes, asked)).status).toBe(409);
    expect(await (await post(leader, changes, asked)).json()).toMatchObject({ kind: "done", changed: true });
  });

  test("a state that another program wrote is left as it is, and said", async () => {
    const set = await ReplicaSet.start(long, []);
    set.api.put({ ...stateObject, data: { "state.json": '{"format":"other"}' } });
    const replica = await set.add("a", long);
    await set.leader();
    const { stateProblem } = await rolloutAt(replica);
    expect(stateProblem).toContain("the ConfigMap shop/perch-state cannot be used and is left as it is");
    expect(set.api.object(stateObject)?.data).toEqual({ "state.json": '{"format":"other"}' });
    expect((await new Visitor().get(replica.origin)).version).toBe("stable");
  });
});

function post({ adminOrigin }: { adminOrigin: string }, path: string, body: object, headers = withToken) {
  const sent = { ...headers, "content-type": "application/json" };
  return fetch(adminOrigin + path, { method: "POST", headers: sent, body: JSON.stringify(body) });
}

async function eventsOf(replica: { app: { rollouts: { eventsAfter(id: number): readonly { type: string }[] } } }) {
  return { events: replica.app.rollouts.eventsAfter(0).map(({ type }) => type) };
}
