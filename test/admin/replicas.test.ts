import { describe, expect, test } from "vitest";
import type { ReplicaMessage } from "../../src/rollout/replicas/replica-messages.ts";
import { reportOf } from "../rollout/replicas/replica-room.ts";
import { adminOf, bearer, MemoryRollouts } from "./memory-rollouts.ts";

const report = reportOf(2);
const message = (changed: object = {}, of: object = {}): object => {
  const reports = [{ number: 1, report: { ...report, ...of } }];
  return { replica: "shop-1", term: "", revision: 0, withdrawn: [], reports, ...changed };
};
const sighted = (changed: object) => message({}, { sightings: [{ ...report.sightings[0], ...changed }] });

describe("what a replica reports", () => {
  test("is heard if it can be counted", async () => {
    const { send, heard } = leader();
    const sent = [message(), sighted({ hi: -(2 ** 31), lo: 2 ** 31 - 1, bad: 2 ** 31 - 1, goodBefore: 1e12 })];
    for (const one of sent) expect((await send(one)).statusCode).toBe(200);
    expect(heard).toEqual(sent);
  });

  const none = { good: 0, failed: 0 };
  const far = { number: 2 ** 53, report };
  test.each<[string, object]>([
    ["a number that the saved state has no room for", message({ reports: [far] })],
    ["a revision that no state has", message({ revision: 2 ** 53 })],
    [
      "more answers than one report can have",
      message({}, { drawn: { baseline: none, candidate: { ...none, good: 1e308 } } }),
    ],
    [
      "the same of users that a rule placed",
      message({}, { placed: { baseline: { ...none, failed: 1e10 }, candidate: none } }),
    ],
    ["a unit that is none", sighted({ hi: 1e300 })],
    ["a bad answer to a question that nobody asks", sighted({ bad: 2 ** 31 })],
    ["good answers beyond all counting", sighted({ goodBefore: 1e308 })],
    ["too many answers of one duration", message({}, { baselineDurations: [1e308] })],
  ])("is refused, and nothing of it is heard: %s", async (_, sent) => {
    const { send, heard } = leader();
    const answer = await send(sent);
    expect([answer.statusCode, answer.json().error]).toEqual([400, "bad-request"]);
    expect(heard).toEqual([]);
  });
});

function leader() {
  const heard: ReplicaMessage[] = [];
  const replicas = {
    status: () => ({ identity: "a", isLeading: true, leader: null, revision: 0, problem: null, droppedReports: 0 }),
    heard: (told: ReplicaMessage) => {
      heard.push(told);
      return { term: "a 1", taken: 1, saved: 0, statuses: [], questions: [], state: undefined };
    },
    make: async () => undefined,
  };
  const { server } = adminOf(new MemoryRollouts(), { view: { replicas } });
  const send = (payload: object) =>
    server.inject({ method: "POST", url: "/api/replicas/reports", headers: bearer, payload });
  return { send, heard };
}
