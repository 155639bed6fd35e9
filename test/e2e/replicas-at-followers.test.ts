/** @module-tag slow */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { freeAfterTest } from "../kit/freed.ts";
import { askRollout, ReplicaSet, rolloutAt, withToken } from "../kit/replicas.ts";
import { Visitor } from "../kit/visitor.ts";

const steps = [10, 20, 30, 40, 50, 100].map((weight) => `{ weight: ${weight}, hold: 1h }`).join(", ");
const plan = `{ id: "2", candidate: canary, steps: [${steps}] }`;
const patient = { timeout: 20_000 };
const main = join(import.meta.dirname, "../../src/cli/main.ts");

/** The ids of the events that a stream has sent so far; `gap` for events that it could not send. */
async function eventIds(adminOrigin: string, headers: Readonly<Record<string, string>> = {}) {
  const ending = new AbortController();
  const answer = await fetch(`${adminOrigin}/api/events`, { headers, signal: ending.signal });
  const found: (number | "gap")[] = [];
  const reading = (async () => {
    let text = "";
    for await (const chunk of answer.body ?? []) {
      text += Buffer.from(chunk).toString();
      const frames = text.split("\n\n");
      text = frames.pop() ?? "";
      for (const frame of frames) {
        if (/^event: gap/m.test(frame)) found.push("gap");
        else if (/^data:/m.test(frame)) found.push(Number(/^id: (\d+)/m.exec(frame)?.[1]));
      }
    }
  })().catch(() => {});
  freeAfterTest(async () => {
    ending.abort();
    await reading;
  });
  return found;
}

test("the stream of events at each replica goes on over changes of the leader, each event once", async () => {
  const set = await ReplicaSet.start(plan, ["a", "b", "c", "d"]);
  let leader = await set.leader();
  const last = set.replicas.filter((each) => each !== leader).at(-1);
  if (last === undefined) throw new Error("no follower");
  await expect.poll(() => set.events.length, patient).toBe(1);
  await expect.poll(async () => (await rolloutAt(last)).step, patient).toBe(1);
  const streams = [await eventIds(last.adminOrigin, { "last-event-id": "0" }), await eventIds(last.adminOrigin)];
  for (const wanted of [2, 3]) {
    expect((await askRollout(last, "step")).status).toBe(200);
    leader = await set.leader();
    if (leader === last) break;
    set.replicas.splice(set.replicas.indexOf(leader), 1);
    await leader.stop();
    await set.leader();
    expect(await rolloutAt(last)).toMatchObject({ step: wanted });
  }
  expect((await askRollout(last, "pause")).status).toBe(200);
  const { events } = set;
  const ids = events.map(({ id }) => id);
  expect(ids).toEqual(ids.map((_, at) => at + 1));
  await expect.poll(() => streams[0], patient).toEqual(ids);
  await expect.poll(() => streams[1], patient).toEqual(ids.slice(1));
  const later = await eventIds(last.adminOrigin, { "last-event-id": "2" });
  await expect.poll(() => later, patient).toEqual(ids.slice(2));
});

test.each([1, 2])("all that can be asked of a rollout can be asked of a follower (workers: %i)", async (workers) => {
  const set = await ReplicaSet.start(`${plan}\nworkers: ${workers}`, ["a", "b"]);
  const [follower] = await set.followers();
  const leader = await set.leader();
  if (follower === undefined) throw new Error("no follower");
  const { adminOrigin } = follower;
  const send = (method: string, path: string, body: object, headers: Readonly<Record<string, string>> = {}) =>
    fetch(adminOrigin + path, {
      method,
      headers: { ...withToken, ...headers, "content-type": "application/json" },
      body: JSON.stringify(body),
    });
  // It begins by itself.
  await expect.poll(async () => (await rolloutAt(follower)).step, patient).toBe(1);
  const { revision } = await rolloutAt(follower);
  const split = { split: { stable: 0, canary: 100 }, for: "10m" };
  const stale = { "if-match": `"${revision + 7}"` };
  expect((await send("POST", "/api/releases/shop/split", split, stale)).status).toBe(412);
  expect((await send("POST", "/api/rollouts/shop/step", {}, stale)).status).toBe(412);
  expect((await send("POST", "/api/releases/shop/split", { split: { other: 1 } })).status).toBe(400);
  expect((await send("POST", "/api/rollouts/other/step", {})).status).toBe(404);
  const stepped = await send("POST", "/api/rollouts/shop/step", {}, { "if-match": `"${revision}"` });
  expect(stepped.status).toBe(200);
  expect(stepped.headers.get("etag")).toBe(`"${revision + 1}"`);
  const again = await send("POST", "/api/rollouts/shop/step", {}, { "if-match": `"${revision}"` });
  expect(again.status).toBe(412);
  const cli = async (...args: readonly string[]) => {
    const options = ["--admin", adminOrigin, "--token-file", join(set.folder, "tokens")];
    const { stdout } = await promisify(execFile)(process.execPath, [main, "rollout", ...args, ...options]);
    return stdout;
  };
  expect(await cli("pause", "shop", "--why", "by hand")).toContain("paused");
  expect(await cli("status", "shop")).toContain("paused");
  expect(await rolloutAt(leader)).toMatchObject({ phase: "paused", step: 2 });
  expect((await send("POST", "/api/releases/shop/split", split)).status).toBe(200);
  expect((await send("DELETE", "/api/releases/shop/split", {})).status).toBe(200);
  expect((await send("DELETE", "/api/releases/shop/split", {})).status).toBe(404);
  expect(await cli("resume", "shop")).toContain("shop");
  expect(await cli("promote", "shop")).toContain("shop");
  expect(await rolloutAt(leader)).toMatchObject({ phase: "completed" });
  for (const { origin } of set.replicas) expect((await new Visitor().get(origin)).version).toBe("canary");
  expect(await cli("rollback", "shop")).toContain("rolled");
  expect((await send("POST", "/api/rollouts/shop/resume", {})).status).toBe(409);
  const before = set.canary.seen;
  for (const { origin } of set.replicas) for (let at = 0; at < 10; at++) await new Visitor().get(origin);
  expect(set.canary.seen).toBe(before);
});
