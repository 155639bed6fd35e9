import { describe, expect, test } from "vitest";
import { edited, planned, steps, withPages } from "./rollout-config.ts";
import { load, problemsOf } from "./valid-config.ts";

/** The case, the configuration, and all problems that are reported. */
const warnings: readonly (readonly [string, string, readonly string[]])[] = [
  [
    "a candidate that one service lacks",
    withPages('{ versions: { stable: { endpoints: ["http://s"] } } }', ["split: { stable: 100, canary: 0 }\n    ", ""]),
    ["35:18: warning: service pages without version canary will serve the default version instead"],
  ],
  [
    "a candidate that one service serves by default",
    withPages(
      '{ default: canary, versions: { canary: { endpoints: ["http://c"] }, stable: { endpoints: ["http://s"] } } }',
      ["candidate: canary", "candidate: canary\n      baseline: stable"],
    ),
    [
      "36:18: warning: canary is the default version of service pages, which serves it where stable cannot be reached, also after a rollback; make stable its default",
    ],
  ],
  [
    "no state file",
    edited(["state: { file: data/state.json }\n", ""]),
    [
      "33:5: warning: there is no state file, so rollouts and pauses are lost when the process ends; set state: { file: /var/lib/perch/state.json } at the top, or start Perch with --state-dir DIR",
    ],
  ],
  [
    "a candidate with a weight of its own",
    edited(["{ stable: 100, canary: 0 }", "{ stable: 95, canary: 5 }"]),
    [
      "32:26: warning: the rollout sets the weights of stable and canary while it runs: this weight applies only before it starts and after it ends; write canary: 0",
    ],
  ],
  [
    "a split that gives neither version anything",
    edited(
      ["{ stable: 100, canary: 0 }", "{ other: 1 }"],
      ["      canary: {", '      other: { endpoints: ["http://o"] }\n      canary: {'],
    ),
    [
      "33:5: warning: the split has no weight for stable or canary, so the rollout has no users to draw; give stable a weight",
    ],
  ],
  [
    "a ring whose users a rule takes first",
    edited([
      "      - name: second\n",
      "      - { name: ada, when: { userId: ada }, use: canary }\n      - name: second\n",
    ]),
    [
      "39:13: warning: this ring gets no users: rule ada has the same condition and comes before; write use: rollout in the rule",
    ],
  ],
  [
    "pins that hold",
    edited(["      by: userId", "      whenWeightsChange: hold\n      by: userId"]),
    [
      "22:26: warning: with hold, a rollout draws and judges new users only: those with a pin keep their version, whatever the weights are; use follow",
    ],
  ],
  [
    "a ring that nobody is in",
    planned(
      "{ when: { host: a.example }, weight: 5, hold: 1m }",
      "{ when: { percent: 0 }, weight: 5, hold: 1m }",
    ).replaceAll("name: shop\n    service", "name: shop\n    match: { hosts: [b.example] }\n    service"),
    [
      "37:13: warning: no request is in this ring: no route of release shop has the host a.example",
      "38:13: warning: no request is in this ring: its percentage is 0",
    ],
  ],
  [
    "a ring that everybody is in",
    planned("{ when: {}, weight: 5, hold: 1m }"),
    ["37:13: warning: every request is in this ring; leave out when: the weight then applies to all users"],
  ],
  [
    "a ring below the rest",
    planned("{ weight: 10, hold: 1m }", "{ when: { userId: ada }, weight: 10, hold: 1m }"),
    ["38:44: warning: this step has no effect: its ring has 10 %, and all users have 10 % already"],
  ],
  [
    "nothing to compare",
    planned("{ weight: 0, hold: 1m }", "{ weight: 100, hold: 1m }"),
    [
      '36:7: warning: no step answers check "errors": a weight of 0 or 100 leaves no other version to compare with; add a step with a weight between 0 and 100',
    ],
  ],
  [
    "nobody to count",
    edited([steps, "      steps: [{ weight: 0, hold: 1m }]\n"], [", beforeStep: 1", ""]),
    [
      '38:19: warning: no step answers check "errors": a weight of 0 or 100 leaves no other version to compare with; add a step with a weight between 0 and 100',
      '39:19: warning: no step answers check "slow": a weight of 0 or 100 leaves no other version to compare with; add a step with a weight between 0 and 100',
      '40:19: warning: no step answers check "ceiling": the candidate gets no users; add a step with a weight between 0 and 100',
      '41:19: warning: no step answers check "no-worse": a weight of 0 or 100 leaves no other version to compare with; add a step with a weight between 0 and 100',
    ],
  ],
  [
    "a limit above the total timeout",
    edited(["timeouts: { connect: 2s }", "timeouts: { connect: 2s, total: 4s }"], ["over: 800ms", "over: 4s"]),
    ["43:45: warning: no answer takes over 4s: on every route of release shop the total timeout of 4s ends it before"],
  ],
];

describe("a warning about a rollout", () => {
  test.each(warnings)("%s", (_sentence, text, wanted) => {
    const result = load(text);
    expect([result.ok, problemsOf(result)]).toEqual([true, wanted]);
  });

  test("is none that follows from another: no warning about what an error left out", () => {
    expect(problemsOf(load(planned("{ when: { userid: ada }, weight: 0, hold: 1m }")))).toEqual([
      '37:21: error: unknown attribute "userid"; did you mean "userId"?',
    ]);
  });

  test("is none about a total timeout that some route has not", () => {
    const text = edited(
      ["over: 800ms", "over: 4s"],
      ["    service: shop\n", "    service: shop\n    timeouts: { total: 2s }\n"],
    );
    expect(problemsOf(load(text))).toEqual([]);
  });

  test("is none about the state where the command line says where it is kept", () => {
    const text = edited(["state: { file: data/state.json }\n", ""]);
    expect(problemsOf(load(text, { hasStateDir: true }))).toEqual([]);
  });
});
