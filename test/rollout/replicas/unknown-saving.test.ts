import { describe, expect, test } from "vitest";
import type { RolloutSpec } from "../../../src/decide/rollout-spec.ts";
import type { SavedState } from "../../../src/rollout/rollout-state.ts";
import { asked, Room, releaseOf, reportOf, settled } from "./replica-room.ts";

describe("a leader that does not know whether a step was saved", () => {
  async function stepping(parts: Partial<RolloutSpec> = {}) {
    const room = new Room();
    const release = releaseOf(parts);
    const [first, second] = [await room.replica("a", release), await room.replica("b", release)];
    await first.lead("a 1");
    second.reportTo(first);
    first.losesAnswers = true;
    const answer = await first.rollouts.change("shop", "step", asked);
    const look = async () => {
      room.clock.advance(1_000);
      await settled();
    };
    return { room, first, second, answer, look };
  }

  test("says so, moves nobody back who has seen it, and takes it once it knows", async () => {
    const { room, first, second, answer, look } = await stepping();
    expect(answer).toMatchObject({ kind: "refused", message: expect.stringMatching(/^it is not known whether/) });
    second.adopt();
    for (let report = 0; report < 4; report++) {
      second.reportTo(first);
      expect(second.rollouts.of("shop")).toMatchObject({ step: 2 });
      await look();
    }
    expect(first.rollouts.of("shop")).toMatchObject({ step: 1, stateProblem: "no answer" });
    first.losesAnswers = false;
    await look();
    expect(first.rollouts.of("shop")).toMatchObject({ step: 2, stateProblem: null });
    second.reportTo(first);
    expect(second.rollouts.of("shop")).toMatchObject({ step: 2 });
    expect(room.saved?.events.map(({ type }) => type)).toEqual(["started", "step"]);
    expect(first.events.map(({ type }) => type)).toEqual(["started", "step"]);
  });

  test("also not while the store has not answered yet", async () => {
    const { first, second, look } = await stepping();
    first.losesAnswers = false;
    await look();
    const api = Promise.withResolvers<void>();
    first.storeAnswers = api.promise;
    const step = first.rollouts.change("shop", "step", asked);
    await settled();
    second.adopt();
    for (let report = 0; report < 4; report++) second.reportTo(first);
    expect(second.rollouts.of("shop")).toMatchObject({ step: 3 });
    api.resolve();
    expect(await step).toMatchObject({ kind: "done", changed: true });
  });

  test("rolls back at once", async () => {
    const { room, first, second, look } = await stepping();
    second.adopt();
    void first.rollouts.change("shop", "rollback", asked);
    expect(first.candidateIs).toBe("withdrawn");
    second.reportTo(first);
    expect(second.candidateIs).toBe("withdrawn");
    first.losesAnswers = false;
    await look();
    second.adopt();
    expect(room.saved?.rollouts[0]?.phase).toBe("rolled-back");
    expect(second.candidateIs).toBe("withdrawn");
  });

  test("makes what it is asked next in its place, and never the step first", async () => {
    const { room, first, second, look } = await stepping();
    second.adopt();
    const pause = await first.rollouts.change("shop", "pause", asked);
    expect(pause).toMatchObject({ kind: "refused", message: expect.stringContaining("not known") });
    first.losesAnswers = false;
    const before = room.writes.length;
    await look();
    second.adopt();
    const of = (saved: SavedState) => saved.rollouts.map(({ phase, step }) => ({ phase, step }));
    expect(room.writes.slice(before).flatMap(({ saved }) => of(saved))).toEqual([{ phase: "paused", step: 0 }]);
    expect(first.rollouts.of("shop")).toMatchObject({ phase: "paused", step: 1 });
    expect(second.rollouts.of("shop")).toMatchObject({ phase: "paused", step: 1 });
  });

  test("does not make the step after a check has failed", async () => {
    const caps = { users: undefined, failures: 3, requestsPerSecond: undefined };
    const { room, first, look } = await stepping({ onFail: "pause", caps });
    const failed = { baseline: { good: 0, failed: 0 }, candidate: { good: 0, failed: 10 } };
    first.rollouts.report({ ...reportOf(10, 0, { bad: 1 }), drawn: failed });
    first.losesAnswers = false;
    const before = room.writes.length;
    await look();
    await look();
    const steps = room.writes.slice(before).flatMap(({ saved }) => saved.rollouts.map(({ step }) => step));
    expect(new Set(steps)).toEqual(new Set([0]));
    expect(first.rollouts.of("shop")).toMatchObject({ phase: "paused", step: 1 });
  });

  test("does not make the step after a configuration that has no rollout any more", async () => {
    const { room, first, look } = await stepping();
    const { rollout: _, ...bare } = releaseOf();
    await first.rollouts.prepare([{ ...bare, rollout: undefined }]).commit();
    first.losesAnswers = false;
    const before = room.writes.length;
    await look();
    const phases = room.writes.slice(before).flatMap(({ saved }) => saved.rollouts.map(({ phase }) => phase));
    expect(new Set(phases)).toEqual(new Set(["aborted"]));
    expect(first.candidateIs).toBeUndefined();
  });

  test("saves a rollback when it stops, also where it does not know whether a configuration was saved", async () => {
    const { room, first } = await stepping();
    void first.rollouts.change("shop", "rollback", asked);
    const before = room.writes[0]?.saved;
    await first.rollouts.prepare([releaseOf({ id: "2.5.0" })]).commit();
    // None of it was written.
    room.saved = before;
    first.losesAnswers = false;
    await first.rollouts.close();
    expect(room.saved?.rollouts.map(({ id, phase }) => [id, phase])).toContainEqual(["2.4.0", "rolled-back"]);
  });

  test("nor whether a new configuration was, writes nothing of before over it", async () => {
    const { room, first, look } = await stepping();
    first.losesAnswers = false;
    await look();
    first.losesAnswers = true;
    await first.rollouts.prepare([releaseOf({ id: "2.5.0" })]).commit();
    expect(first.rollouts.of("shop")).toMatchObject({ id: "2.4.0", step: 2 });
    const pause = await first.rollouts.change("shop", "pause", asked);
    expect(pause).toMatchObject({ kind: "refused", message: expect.stringMatching(/^nothing changed/) });
    expect(room.saved?.rollouts[0]?.id).toBe("2.5.0");
    first.losesAnswers = false;
    await look();
    expect(first.rollouts.of("shop")).toMatchObject({ id: "2.5.0", step: 1, stateProblem: null });
    expect(room.saved?.revision).toBe(first.rollouts.revision);
    const ids = room.saved?.events.map(({ id }) => id);
    expect(ids).toEqual(ids?.map((_, at) => at + 1));
  });

  test("leaves it to the next leader, who has it or has not", async () => {
    const { first, second } = await stepping();
    first.follow();
    await second.lead("b 2");
    expect(second.rollouts.of("shop")).toMatchObject({ step: 2 });
    expect(first.rollouts.of("shop")).toMatchObject({ step: 1 });
    first.reportTo(second);
    expect(first.rollouts.of("shop")).toMatchObject({ step: 2 });
  });
});
