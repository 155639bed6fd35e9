import { describe, expect, test } from "vitest";
import { DemoUser } from "../../../src/cli/demo/demo-user.ts";
import { type Answer, Tally } from "../../../src/cli/demo/tally.ts";

const byStable: Answer = { version: "stable", isRight: true, startedMs: 0, tookMs: 2 };
const byCanary: Answer = { version: "canary", isRight: true, startedMs: 0, tookMs: 4 };
const unanswered: Answer = { version: undefined, isRight: false, startedMs: 0, tookMs: 1 };

/** User indices: the rule matches user 10; user 6 is anonymous. */
const ruled = 10;
const anonymous = 6;

function reportOf(index: number, answers: readonly Answer[]) {
  const tally = new Tally({ stable: 75, canary: 25 });
  const user = new DemoUser(index, "test");
  for (const answer of answers) tally.add(user, answer);
  return tally.report();
}

describe("the tally", () => {
  test.each([
    {
      is: "counts a user once, however often they call",
      index: anonymous,
      answers: [byStable, byStable, byStable],
      wanted: { users: 1, drawnUsers: 1, requests: 3, errors: 0, flips: 0 },
    },
    {
      is: "counts each change of version, there and back",
      index: anonymous,
      answers: [byStable, byCanary, byStable],
      wanted: { users: 1, drawnUsers: 1, requests: 3, flips: 2 },
    },
    {
      is: "counts an unanswered request as an error, and not as a change",
      index: anonymous,
      answers: [byStable, unanswered, byStable],
      wanted: { users: 1, requests: 3, errors: 1, flips: 0 },
    },
    {
      is: "counts a wrong response as an error",
      index: anonymous,
      answers: [{ ...byStable, isRight: false }],
      wanted: { users: 1, requests: 1, errors: 1 },
    },
    {
      is: "keeps users of the rule out of the split",
      index: ruled,
      answers: [byCanary, byCanary],
      wanted: {
        users: 1,
        drawnUsers: 0,
        rule: { name: "new-users-in-the-east", version: "canary", users: 1, elsewhere: 0 },
      },
    },
    {
      is: "counts a user of the rule on another version once, and each change",
      index: ruled,
      answers: [byStable, byCanary, byStable],
      wanted: { flips: 2, rule: { name: "new-users-in-the-east", version: "canary", users: 1, elsewhere: 1 } },
    },
  ])("$is", ({ index, answers, wanted }) => {
    expect(reportOf(index, answers)).toMatchObject(wanted);
  });

  test("gives each version its own counts and p95 latency", () => {
    const slow = { ...byStable, tookMs: 40 };
    const [stable, canary] = reportOf(anonymous, [...Array<Answer>(19).fill(byStable), slow]).versions;
    expect(stable).toMatchObject({ version: "stable", configuredShare: 0.75, drawnUsers: 1, requests: 20 });
    expect(stable?.p95Ms).toBeCloseTo(2, 1);
    expect(canary).toMatchObject({ version: "canary", configuredShare: 0.25, drawnUsers: 0, requests: 0, p95Ms: null });
  });
});
