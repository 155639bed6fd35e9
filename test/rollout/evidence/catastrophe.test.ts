import { describe, expect, it } from "vitest";
import type { AnswersBySide, Sighting } from "../../../src/observe/rollout/rollout-report.ts";
import { Catastrophe } from "../../../src/rollout/evidence/catastrophe.ts";
import { noAnswers, wordsOf } from "../../kit/simulated-plane.ts";

const versions = { baseline: "stable", candidate: "canary" };

function sighting(user: number, given: Partial<Sighting>): Sighting {
  return { ...wordsOf(user), side: "candidate", odds: 0.1, seen: "first", bad: 1, goodBefore: 0, ...given };
}

/** Users `from` up to `to`, each with a failure on the candidate. */
function failures(from: number, to: number, given: Partial<Sighting> = {}): readonly Sighting[] {
  return Array.from({ length: to - from }, (_, at) => sighting(from + at, given));
}

interface Told {
  readonly sightings?: readonly Sighting[];
  readonly baseline?: AnswersBySide["baseline"];
  readonly candidateGood?: number;
}

/** After all reports; each time it went through JSON between two of them. */
function verdictAfter(reports: readonly Told[]): string {
  let catastrophe = new Catastrophe(versions, undefined);
  for (const { sightings = [], baseline = noAnswers.baseline, candidateGood = 0 } of reports) {
    for (const each of sightings) catastrophe.take(each);
    catastrophe.endReport({ baseline, candidate: { good: candidateGood, failed: 0 } }, sightings);
    catastrophe = new Catastrophe(versions, JSON.parse(JSON.stringify(catastrophe.save())));
  }
  return catastrophe.verdict();
}

const wellAnswered = { baseline: { good: 90, failed: 5 } };
const good = (given: Partial<Sighting> = {}) => sighting(900, { bad: 0, ...given });

const dead: readonly (readonly [string, readonly Told[]])[] = [
  ["ten users failed, then the baseline answered", [{ sightings: failures(0, 10) }, wellAnswered]],
  ["they failed one by one", [...failures(0, 10).map((each) => ({ sightings: [each] })), wellAnswered]],
  ["the candidate was well until then", [{ sightings: [good(), ...failures(0, 10)] }, wellAnswered]],
  [
    "the baseline answered a new user well in the same report",
    [{ sightings: [...failures(0, 10), good({ side: "baseline" })] }],
  ],
  ["hardly a baseline is left to wait for", [{ sightings: failures(0, 10, { odds: 0.99 }) }]],
  ["there is no baseline: all are drawn to the candidate", [{ sightings: failures(0, 10, { odds: 1 }) }]],
  [
    "the baseline's own failure stands between its good answers",
    [
      {
        sightings: [
          ...failures(0, 5),
          sighting(50, { side: "baseline", goodBefore: 500 }),
          ...failures(5, 10),
          sighting(51, { side: "baseline", goodBefore: 60 }),
        ],
      },
    ],
  ],
];

const alive: readonly (readonly [string, readonly Told[]])[] = [
  [
    "the last of them was of a ring at 100 %, and the others were not",
    [{ sightings: [...failures(0, 9), sighting(9, { odds: 1 })] }],
  ],
  ["nobody came", [{}]],
  ["nine users failed", [{ sightings: failures(0, 9) }, wellAnswered]],
  ["one user failed ten times", [{ sightings: Array.from({ length: 12 }, () => sighting(1, {})) }, wellAnswered]],
  ["a good answer stood between", [{ sightings: [...failures(0, 6), good(), ...failures(6, 12)] }, wellAnswered]],
  [
    "a slow but good answer stood between",
    [{ sightings: [...failures(0, 6), good({ bad: 2 }), ...failures(6, 12)] }, wellAnswered],
  ],
  [
    "a known user's good answer stood between",
    [{ sightings: [...failures(0, 6), ...failures(6, 12, { goodBefore: 1 })] }, wellAnswered],
  ],
  ["known users were answered since", [{ sightings: failures(0, 10) }, { ...wellAnswered, candidateGood: 3 }]],
  ["the baseline has not answered since", [{ sightings: failures(0, 10), baseline: { good: 900, failed: 0 } }]],
  ["the baseline fails too", [{ sightings: failures(0, 10) }, { baseline: { good: 50, failed: 50 } }]],
  [
    "the baseline began to fail in the same report",
    [
      {
        baseline: { good: 5_000, failed: 30 },
        sightings: [
          ...failures(0, 5),
          ...Array.from({ length: 30 }, (_, at) =>
            sighting(100 + at, { side: "baseline", goodBefore: at ? 0 : 5_000 }),
          ),
          ...failures(5, 10),
        ],
      },
    ],
  ],
];

describe("Catastrophe", () => {
  it.each(dead)("is one where %s", (_, reports) => {
    expect(verdictAfter(reports)).toBe("fail");
  });

  it.each(alive)("is none where %s", (_, reports) => {
    expect(verdictAfter(reports)).toBe("not-enough-data");
  });

  it("says what happened", () => {
    const catastrophe = new Catastrophe(versions, undefined);
    for (const each of failures(0, 11)) catastrophe.take(each);
    catastrophe.endReport(noAnswers, failures(0, 11));
    catastrophe.endReport({ ...noAnswers, baseline: { good: 990, failed: 10 } }, []);
    expect(catastrophe.finding()).toMatchObject({
      evidence: 10,
      limit: 10,
      why: "the last 10 users of canary met nothing but errors, while stable answered 990 of 1,000 requests well",
    });
  });
});
