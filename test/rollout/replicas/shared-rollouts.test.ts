import { describe, expect, test } from "vitest";
import { ReportInbox } from "../../../src/rollout/replicas/report-inbox.ts";
import { asked, Room, releaseOf, reportOf, settled } from "./replica-room.ts";

describe("a replica that begins to lead", () => {
  test("has all that it saw before, however much that is", async () => {
    const room = new Room();
    const first = await room.replica("a");
    for (let at = 0; at < 12; at++) first.rollouts.report(reportOf(1_000, at * 1_000));
    await first.lead("a 1");
    first.rollouts.report(reportOf(10, 12_000));
    expect(first.rollouts.of("shop")?.drawn.candidate.good).toBe(12_010);
  });

  test("has what it saw before also if its planes report in the meantime", async () => {
    const room = new Room();
    const first = await room.replica("a");
    first.rollouts.report(reportOf(7));
    const planes = Promise.withResolvers<void>();
    first.planesAnswer = planes.promise;
    const leading = first.lead("a 1");
    await settled();
    first.rollouts.report(reportOf(5, 100));
    planes.resolve();
    await leading;
    expect(first.rollouts.of("shop")?.drawn.candidate.good).toBe(12);
  });

  test("goes on where an older state, or none, was put in the place of one with its reports", async () => {
    const room = new Room();
    const [first, second] = [await room.replica("a"), await room.replica("b")];
    await first.lead("a 1");
    second.adopt();
    second.rollouts.report(reportOf(5));
    second.reportTo(first);
    await first.rollouts.change("shop", "pause", asked);
    second.reportTo(first);
    expect(second.outbox.after(0)).toEqual([]);
    room.saved = undefined;
    first.follow();
    await second.lead("b 2");
    second.rollouts.report(reportOf(7, 100));
    expect(second.rollouts.isLeading).toBe(true);
    expect(second.rollouts.of("shop")?.drawn.candidate.good).toBe(7);
  });

  test("where the state cannot be used begins from what it followed, and holds", async () => {
    const room = new Room();
    const [first, second] = [await room.replica("a"), await room.replica("b")];
    await first.lead("a 1");
    second.rollouts.report(reportOf(5));
    second.reportTo(first);
    await first.rollouts.change("shop", "step", asked);
    second.adopt();
    second.rollouts.report(reportOf(2, 100));
    second.reportTo(first);
    second.rollouts.report(reportOf(3, 200));
    const { traffic } = second.rollouts.directions;
    room.problem = "it is damaged";
    first.follow();
    await second.lead("b 2");
    expect(second.rollouts.directions.traffic).toEqual(traffic);
    expect(second.rollouts.of("shop")).toMatchObject({ step: 2, phase: "progressing", stateProblem: "it is damaged" });
    // What a leader has saved is not counted twice.
    expect(second.rollouts.of("shop")?.drawn.candidate.good).toBe(10);
    expect(await second.rollouts.change("shop", "step", asked)).toMatchObject({ kind: "refused", cause: "not-saved" });
    await second.rollouts.change("shop", "rollback", asked);
    expect(second.candidateIs).toBe("withdrawn");
  });

  test("tells at once of events that its watch has not told of", async () => {
    const room = new Room();
    const [first, second] = [await room.replica("a"), await room.replica("b")];
    await first.lead("a 1");
    second.adopt();
    await first.rollouts.change("shop", "pause", asked);
    first.follow();
    await second.lead("b 2");
    expect(second.events.map(({ type }) => type)).toEqual(["paused"]);
    await second.rollouts.change("shop", "resume", asked);
    expect(second.events.map(({ id }) => id)).toEqual([2, 3]);
  });

  test("runs the configuration that was committed, also if it began to lead after that was prepared", async () => {
    const room = new Room();
    const first = await room.replica("a");
    const preparation = first.rollouts.prepare([releaseOf({ command: "rollback" })]);
    await first.lead("a 1");
    expect(first.rollouts.of("shop")?.phase).toBe("progressing");
    await preparation.commit();
    expect(first.rollouts.of("shop")?.phase).toBe("rolled-back");
  });

  test("rolls back again what a leader before it could not save", async () => {
    const room = new Room();
    const [first, second] = [await room.replica("a"), await room.replica("b")];
    await first.lead("a 1");
    second.adopt();
    first.refusal = "the API is away";
    await first.rollouts.change("shop", "rollback", asked);
    const answer = first.rollouts.heard({ replica: "b", ...second.rollouts.followed, reports: [] });
    if (answer === undefined) throw new Error("a does not lead");
    second.rollouts.leaderSays(answer);
    first.follow();
    await second.lead("b 2");
    expect(second.rollouts.of("shop")?.phase).toBe("rolled-back");
    expect(second.candidateIs).toBe("withdrawn");
    await settled();
    expect(room.saved?.rollouts[0]?.phase).toBe("rolled-back");
    expect(second.events.map(({ id, type }) => `${id} ${type}`)).toEqual(["2 rolled-back"]);
  });

  test("twice, since it lost the lease while it took over, leads once", async () => {
    const room = new Room();
    const first = await room.replica("a");
    const api = Promise.withResolvers<void>();
    first.takeOverAnswers = api.promise;
    const late = first.lead("a 1");
    first.follow();
    first.takeOverAnswers = Promise.resolve();
    await first.lead("a 2");
    api.resolve();
    await late;
    await first.rollouts.change("shop", "pause", asked);
    await first.rollouts.change("shop", "resume", asked);
    for (let second = 0; second < 70; second++) {
      room.clock.advance(1_000);
      await settled();
    }
    const events = room.saved?.events.map(({ id, type }) => `${id} ${type}`);
    expect(events).toEqual(["1 started", "2 paused", "3 resumed", "4 step"]);
    // One looks each second.
    expect(room.clock.waitsMs.filter((ms) => ms <= 1_000)).toHaveLength(1);
  });
});

test("a replica that lost the lease before it led leads in the next term, whatever is left of the first", async () => {
  const room = new Room();
  const first = await room.replica("a");
  const api = Promise.withResolvers<void>();
  first.storeAnswers = api.promise;
  const late = first.lead("a 1");
  await settled();
  first.follow();
  first.storeAnswers = Promise.resolve();
  await first.lead("a 2");
  room.clock.advance(1_000);
  await settled();
  expect(first.rollouts.isLeading).toBe(true);
  api.resolve();
  await late;
  expect(first.rollouts.isLeading).toBe(true);
});

describe("a replica that leads no longer", () => {
  test("does not bring back a candidate that was rolled back when its last save is answered late", async () => {
    const room = new Room();
    const [first, second] = [await room.replica("a"), await room.replica("b")];
    await first.lead("a 1");
    const api = Promise.withResolvers<void>();
    first.storeAnswers = api.promise;
    const change = first.rollouts.change("shop", "step", asked);
    await settled();
    first.follow();
    await second.lead("b 2");
    await second.rollouts.change("shop", "rollback", asked);
    first.adopt();
    expect(first.candidateIs).toBe("withdrawn");
    api.resolve();
    await change;
    expect(first.candidateIs).toBe("withdrawn");
    expect(first.events.map(({ id }) => id)).toEqual([1, 2, 3]);
  });

  test("saves nothing more, also if it leads again by then", async () => {
    const room = new Room();
    const first = await room.replica("a");
    await first.lead("a 1");
    const api = Promise.withResolvers<void>();
    first.storeAnswers = api.promise;
    const changes = [first.rollouts.change("shop", "step", asked), first.rollouts.change("shop", "step", asked)];
    await settled();
    first.follow();
    first.storeAnswers = Promise.resolve();
    await first.lead("a 2");
    await first.rollouts.change("shop", "rollback", asked);
    api.resolve();
    const [, second] = await Promise.all(changes);
    expect(second).toMatchObject({ kind: "refused", cause: "not-saved" });
    expect(room.saved?.rollouts[0]?.phase).toBe("rolled-back");
    expect(first.candidateIs).toBe("withdrawn");
  });

  test("begins anew if it still holds the lease, and another has the state", async () => {
    const room = new Room();
    const first = await room.replica("a");
    await first.lead("a 1");
    room.term = "somebody 7";
    const answer = await first.rollouts.change("shop", "step", asked);
    expect(answer).toMatchObject({ kind: "refused", cause: "not-saved" });
    expect(first.fenced).toBe(1);
  });
});

test("a leader whose saved state is deleted saves it again, so that the next one does not begin anew", async () => {
  const room = new Room();
  const [first, second] = [await room.replica("a"), await room.replica("b")];
  await first.lead("a 1");
  await first.rollouts.change("shop", "rollback", asked);
  second.adopt();
  room.saved = undefined;
  for (const { rollouts } of [first, second]) rollouts.adopt(undefined, undefined);
  expect(second.candidateIs).toBe("withdrawn");
  for (let second = 0; second < 12; second++) {
    room.clock.advance(1_000);
    await settled();
  }
  first.follow();
  await second.lead("b 2");
  expect(second.rollouts.of("shop")?.phase).toBe("rolled-back");
});

test("a leader saves its state again where somebody has put an older one in its place", async () => {
  const room = new Room();
  const first = await room.replica("a");
  await first.lead("a 1");
  const old = room.saved;
  await first.rollouts.change("shop", "rollback", asked);
  room.saved = old;
  first.adopt();
  for (let second = 0; second < 12; second++) {
    room.clock.advance(1_000);
    await settled();
  }
  expect(room.saved?.rollouts[0]?.phase).toBe("rolled-back");
});

describe("a replica that follows", () => {
  test("is told of a rollback that came while a step was saved, which its watch has told it of", async () => {
    const room = new Room();
    const [first, second] = [await room.replica("a"), await room.replica("b")];
    await first.lead("a 1");
    const api = Promise.withResolvers<void>();
    first.storeAnswers = api.promise;
    const step = first.rollouts.change("shop", "step", asked);
    await settled();
    second.adopt();
    expect(second.rollouts.of("shop")).toMatchObject({ step: 2 });
    const rollback = first.rollouts.change("shop", "rollback", asked);
    second.reportTo(first);
    expect(second.candidateIs).toBe("withdrawn");
    expect(second.reportTo(first).state).toBeUndefined();
    api.resolve();
    expect(await step).toMatchObject({ kind: "refused", cause: "wrong-phase" });
    expect(await rollback).toMatchObject({ kind: "done", changed: true });
    second.adopt();
    expect(second.candidateIs).toBe("withdrawn");
    expect(second.rollouts.revision).toBe(first.rollouts.revision);
  });

  test("does not meet the revision that a leader has told again, with another content of the next one", async () => {
    const room = new Room();
    const [first, second] = [await room.replica("a"), await room.replica("b")];
    await first.lead("a 1");
    first.refusal = "the API is away";
    await first.rollouts.change("shop", "rollback", asked);
    const { revision } = first.rollouts;
    second.reportTo(first);
    await second.lead("b 2");
    expect(second.rollouts.of("shop")?.phase).toBe("rolled-back");
    expect(second.rollouts.revision).toBeGreaterThan(revision);
  });

  test("keeps to a rollback that the leader told it, whatever its watch brings late", async () => {
    const room = new Room();
    const [first, second, third] = [await room.replica("a"), await room.replica("b"), await room.replica("c")];
    await first.lead("a 1");
    third.adopt();
    expect(third.candidateIs).toBe("drawn");
    await first.rollouts.change("shop", "step", asked);
    const late = { saved: room.saved, term: room.term };
    first.follow();
    await second.lead("b 2");
    await second.rollouts.change("shop", "rollback", asked);
    const answer = second.rollouts.heard({ replica: "c", ...third.rollouts.followed, reports: [] });
    if (answer === undefined) throw new Error("b does not lead");
    third.rollouts.leaderSays(answer);
    expect(third.candidateIs).toBe("withdrawn");
    third.rollouts.adopt(late.saved, late.term);
    expect(third.candidateIs).toBe("withdrawn");
    third.adopt();
    expect(third.rollouts.of("shop")?.phase).toBe("rolled-back");
    expect(third.events.map(({ id }) => id)).toEqual([2, 3]);
  });

  test("has its leader roll back what a leader before could not save, and is told the state until both are the same", async () => {
    const room = new Room();
    const [first, second] = [await room.replica("a"), await room.replica("b")];
    await first.lead("a 1");
    first.refusal = "the API is away";
    await first.rollouts.change("shop", "rollback", asked);
    first.follow();
    await second.lead("b 2");
    await second.rollouts.change("shop", "pause", asked);
    expect(first.rollouts.revision).toBe(second.rollouts.revision);
    const answer = second.rollouts.heard({ replica: "a", ...first.rollouts.followed, reports: [] });
    if (answer === undefined) throw new Error("b does not lead");
    first.rollouts.leaderSays(answer);
    expect(first.rollouts.of("shop")?.phase).toBe("rolled-back");
    expect(second.rollouts.of("shop")?.phase).toBe("rolled-back");
    expect(second.candidateIs).toBe("withdrawn");
    await settled();
    expect(room.saved?.rollouts[0]?.phase).toBe("rolled-back");
    first.adopt();
    const next = second.rollouts.heard({ replica: "a", ...first.rollouts.followed, reports: [] });
    expect(next?.state).toBeUndefined();
  });
});

describe("what a replica handed over", () => {
  test("and was not saved is handed over again to a leader that leads anew in the same term", async () => {
    const room = new Room();
    const [first, second] = [await room.replica("a"), await room.replica("b")];
    await first.lead("a 1");
    second.rollouts.report(reportOf(100));
    second.reportTo(first);
    expect(first.rollouts.of("shop")?.users.candidate.users).toBe(100);
    await first.lead("a 1");
    second.rollouts.report(reportOf(1, 1_000));
    second.reportTo(first);
    second.reportTo(first);
    second.reportTo(first);
    expect(first.rollouts.of("shop")?.users.candidate.users).toBe(101);
    expect(first.rollouts.of("shop")?.drawn.candidate.good).toBe(101);
    await first.rollouts.change("shop", "pause", asked);
    second.reportTo(first);
    expect(second.outbox.after(0)).toEqual([]);
  });

  test("does not wait for what it has dropped, or knows to be saved", async () => {
    const room = new Room();
    const [first, second] = [await room.replica("a"), await room.replica("b")];
    for (let at = 0; at < 70; at++) second.rollouts.report(reportOf(1_000, at * 1_000));
    expect(second.outbox.dropped).toBeGreaterThan(0);
    await first.lead("a 1");
    for (let at = 0; at < 20; at++) second.reportTo(first);
    expect(first.rollouts.of("shop")?.drawn.candidate.good).toBe((70 - second.outbox.dropped) * 1_000);
  });

  test("is not lost where the answer to its first message is", () => {
    const taken: number[] = [];
    const inbox = new ReportInbox({ b: 2 }, "a", ({ drawn }) => void taken.push(drawn.candidate.good));
    const numbered = (number: number) => ({ number, report: reportOf(number) });
    inbox.take("b", [numbered(5)]);
    expect(inbox.takenOf("b")).toBe(2);
    inbox.take("b", [1, 2, 3, 4, 5].map(numbered));
    inbox.take("b", [numbered(7)]);
    expect(taken).toEqual([3, 4, 5, 7]);
  });
});

test("a replica named like something that every object has is one like any other", () => {
  for (const name of ["constructor", "__proto__", "toString"]) {
    const inbox = new ReportInbox({}, "own", () => {});
    expect([inbox.savedOf(name), inbox.takenOf(name)]).toEqual([0, 0]);
    inbox.take(name, []);
    inbox.take(name, [{ number: 3, report: reportOf(1) }]);
    inbox.saved(JSON.parse(JSON.stringify(inbox.taken)));
    expect([inbox.savedOf(name), inbox.takenOf(name)]).toEqual([3, 3]);
  }
});

test("a hundred changes of the leader leave nothing behind", async () => {
  const room = new Room();
  const replicas = [await room.replica("a"), await room.replica("b")];
  for (let turn = 0; turn < 100; turn++) {
    const replica = replicas[turn % 2];
    await replica?.lead(`${turn % 2} ${turn}`);
    replica?.rollouts.report(reportOf(10, turn * 10));
    await replica?.rollouts.change("shop", turn % 2 === 0 ? "pause" : "resume", asked);
    if (turn % 3 === 0) await replica?.rollouts.handOver();
    replica?.follow();
    replicas[(turn + 1) % 2]?.adopt();
  }
  await settled();
  expect(room.clock.waitsMs).toEqual([]);
  expect(room.saved?.events.map(({ id }) => id)).toEqual(Array.from({ length: 101 }, (_, at) => at + 1));
  for (const { events } of replicas) {
    const ids = events.map(({ id }) => id);
    expect(ids).toEqual(ids.map((_, at) => (ids[0] ?? 0) + at));
  }
});
