import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { ringKey } from "../../../src/config/ring-key.ts";
import { jsonSchema } from "../../../src/config/schema.ts";
import { useRollout } from "../../../src/decide/release-spec.ts";
import { compiled, load, problemsOf, validConfig } from "../valid-config.ts";

/** A configuration with a rollout, without problems. The rollout begins at line 33. */
const base = `${validConfig.replace(
  "split: { stable: 95, canary: 5 }\n",
  `split: { stable: 100, canary: 0 }
    rollout:
      id: "2.4.0"
      candidate: canary
      steps:
        - { weight: 1, hold: 5m }
        - { when: { userId: ada }, weight: 50, hold: 10m, atLeast: { users: 500 } }
        - { weight: 10, hold: 10m }
        - pause
      checks:
        - { name: errors, metric: errors }
        - { name: slow, metric: slow, over: 800ms }
        - { name: ceiling, metric: errors, atMost: 5% }
        - { name: no-worse, metric: slow, over: p95, margin: 0.5% }
        - { name: orders, prometheus: { url: "http://prometheus:9090", query: up, atLeast: 0.9 }, every: 2m, failures: 5 }
        - { name: smoke, webhook: { url: "http://ci/smoke?a=1" }, beforeStep: 1 }
      caps: { users: 1000, failures: 50, requestsPerSecond: 200 }
      notify: [{ url: "https://chat.example.com/hook", secretFile: pins.secret }]
`,
)}state: { file: data/state.json }
`;

/** The configuration with some replacements. Throws if one of them is not in it. */
function edited(...edits: readonly (readonly [find: string, replacement: string])[]): string {
  return edits.reduce((text, [find, replacement]) => {
    if (!text.includes(find)) throw new Error(`the configuration has no ${JSON.stringify(find)}`);
    return text.replace(find, () => replacement);
  }, base);
}

const rolloutOf = (text: string) => {
  const [release] = compiled(text).releases;
  if (release?.rollout === undefined) throw new Error("no rollout");
  return release.rollout;
};

const steps = base.slice(base.indexOf("      steps:\n"), base.indexOf("      checks:\n"));
const checks = base.slice(base.indexOf("      checks:\n"), base.indexOf("      caps:"));

/** Replaces the steps, and all checks by the default one. */
const planned = (...written: readonly string[]): string =>
  edited([steps, `      steps:\n${written.map((step) => `        - ${step}\n`).join("")}`], [checks, ""]);

const checked = (check: string): string => edited([checks, `      checks:\n        - ${check}\n`]);

/** A second service behind the same release. */
const withPages = (pages: string, ...edits: readonly (readonly [string, string])[]): string =>
  edited(
    ["releases:\n", `  pages: ${pages}\nreleases:\n`],
    ["routes:\n", "routes:\n  - { name: pages, match: { path: { prefix: /p } }, service: pages, release: shop }\n"],
    ...edits,
  );

type Case = readonly [sentence: string, text: string, problems: readonly string[]];

const ok = { errors: { kind: "compare", name: "errors", metric: "errors", over: undefined } };

describe("a rollout", () => {
  test("is compiled", () => {
    expect(problemsOf(load(base))).toEqual([]);
    const { steps, failures, notify, ...rest } = rolloutOf(base);
    expect(rest).toEqual({
      id: "2.4.0",
      baseline: "stable",
      candidate: "canary",
      start: "auto",
      command: "run",
      afterLastStep: "complete",
      checks: [
        ok.errors,
        { kind: "compare", name: "slow", metric: "slow", over: 800 },
        { kind: "at-most", name: "ceiling", metric: "errors", over: undefined, share: 0.05 },
        { kind: "margin", name: "no-worse", metric: "slow", over: "p95", share: 0.005 },
        {
          kind: "prometheus",
          name: "orders",
          url: "http://prometheus:9090/",
          query: "up",
          atLeast: 0.9,
          atMost: undefined,
          everyMs: 120_000,
          failures: 5,
        },
        { kind: "webhook", name: "smoke", url: "http://ci/smoke?a=1", beforeStep: 1, everyMs: 10_000 },
      ],
      falseAlarm: 0.01,
      onFail: "rollback",
      drift: "warn",
      caps: { users: 1000, failures: 50, requestsPerSecond: 200 },
      candidateEndpoints: ["shop http://shop-canary:80"],
    });
    expect(steps).toMatchObject([
      { kind: "weight", weight: 1, holdMs: 300_000, atLeastUsers: 0, ring: undefined },
      { weight: 50, atLeastUsers: 500, ring: { key: expect.stringMatching(/^userId-ada-[0-9a-f]{8}$/) } },
      { weight: 10, ring: undefined },
      { kind: "pause" },
    ]);
    expect([failures.size, failures.has(500), failures.has(599), failures.has(429)]).toEqual([100, true, true, false]);
    expect(notify).toEqual([{ url: "https://chat.example.com/hook", secrets: [expect.any(Uint8Array)] }]);
  });

  test("takes other words than the defaults", () => {
    const words = "start: manual\n      command: pause\n      then: pause\n      onFail: pause\n      drift: off\n";
    const text = edited([
      "      steps:",
      `      baseline: stable\n      falseAlarm: 0.1%\n      failures: [429, 498-501]\n      ${words}      steps:`,
    ]);
    expect(problemsOf(load(text))).toEqual([]);
    expect(rolloutOf(text)).toMatchObject({
      start: "manual",
      command: "pause",
      afterLastStep: "pause",
      onFail: "pause",
      drift: "off",
      falseAlarm: 0.001,
      failures: new Set([429, 498, 500, 501]),
    });
  });

  test("asks about errors if it says nothing about checks, and asks at the usual times", () => {
    expect(rolloutOf(edited([checks, ""])).checks).toEqual([ok.errors]);
    const { checks: asked } = rolloutOf(edited([", every: 2m, failures: 5", ""]));
    expect(asked[4]).toMatchObject({ everyMs: 60_000, failures: 3 });
  });

  test("has the default version of its services as its baseline, and the candidate's endpoints in all of them", () => {
    const text = withPages(
      '{ default: stable, versions: { canary: { endpoints: ["http://b", "http://a"] }, stable: { endpoints: ["http://s"] } } }',
    );
    expect(problemsOf(load(text))).toEqual([]);
    expect(rolloutOf(text)).toMatchObject({
      baseline: "stable",
      candidateEndpoints: ["pages http://a:80", "pages http://b:80", "shop http://shop-canary:80"],
    });
  });

  test("has its versions among those of the release", () => {
    const [release] = compiled(
      edited(["split: { stable: 100, canary: 0 }\n", ""], ["rules:", "rules: []\n    x:"]).replace(
        / {4}x:\n(?: {6}.*\n)*/,
        "",
      ),
    ).releases;
    expect(release?.versions.toSorted()).toEqual(["canary", "stable"]);
  });
});

const errors: readonly Case[] = [
  [
    "an id that is a number",
    edited(['"2.4.0"', "2.4"]),
    ['34:11: error: the id 2.4 is not a text: other programs read 2.10 as 2.1; quote it: "2.4"'],
  ],
  [
    "an id with a space",
    edited(["2.4.0", "2 4"]),
    [
      '34:11: error: "2 4" is not a rollout\'s id: use letters, digits, dots, dashes and underscores, at most 63 characters',
    ],
  ],
  ["no id", edited(['      id: "2.4.0"\n', ""]), ['34:7: error: a rollout needs the key "id"']],
  [
    "an unknown candidate",
    edited(["candidate: canary", "candidate: canry"]),
    ['35:18: error: unknown version "canry"; did you mean "canary"?'],
  ],
  [
    "an unknown baseline",
    edited(["candidate: canary", "candidate: canary\n      baseline: stabel"]),
    ['36:17: error: unknown version "stabel"; did you mean "stable"?'],
  ],
  [
    "the default version as its candidate",
    edited(["candidate: canary", "candidate: stable"]),
    [
      '35:18: error: the candidate must be another version: "stable" is the default version, which is the baseline; set baseline, or another candidate',
    ],
  ],
  [
    "its baseline as its candidate",
    edited(["candidate: canary", "candidate: canary\n      baseline: canary"]),
    ["35:18: error: the candidate must be another version: it is the baseline"],
  ],
  [
    "services with different defaults",
    withPages(
      '{ default: canary, versions: { canary: { endpoints: ["http://c"] }, stable: { endpoints: ["http://s"] } } }',
    ),
    [
      "35:7: error: the rollout needs a baseline: the default versions of its services differ (pages: canary, shop: stable); set baseline to the version that users have now",
    ],
  ],
  [
    "no service to take the baseline from",
    edited([
      "    service: shop\n    release: shop\n  - name: shop\n    service: shop\n    release: shop\n",
      "    service: shop\n",
    ]),
    [
      "20:3: warning: no route uses release shop",
      "34:7: error: the rollout needs a baseline: no route pairs release shop with a known service; set baseline to the version that users have now",
    ],
  ],
  ["no step", planned().replace("steps:\n", "steps: []\n"), ["36:14: error: the list of steps is empty"]],
  [
    "pauses only",
    planned("pause"),
    [
      "37:9: error: these steps give the candidate nobody: all of them are pauses; add a step such as { weight: 1, hold: 5m }",
    ],
  ],
  ["another word for pause", planned("{ pause: true }"), ["37:13: error: a pause is a word, not a key; write - pause"]],
  ["a step without hold", planned("{ weight: 5 }"), ['37:11: error: a step needs the key "hold"']],
  ["a weight above 100", planned("{ weight: 101, hold: 1m }"), ["37:21: error: 101 is too large: the maximum is 100"]],
  [
    "a weight that goes down",
    planned("{ weight: 10, hold: 1m }", "pause", "{ weight: 5, hold: 1m }"),
    [
      "39:21: error: the weight goes down from 10 to 5: users would go back to the baseline; write at least 10; to take users back, set command: rollback",
    ],
  ],
  [
    "a ring's weight that goes down",
    planned(
      "{ when: { userId: ada, app: { semver: '>=4' } }, weight: 50, hold: 1m }",
      "{ weight: 20, hold: 1m }",
      "{ when: { app: { semver: '>=4' }, userId: ada }, weight: 40, hold: 1m }",
    ),
    [
      "39:68: error: the weight of this ring goes down from 50 to 40: users would go back to the baseline; write at least 50; to take users back, set command: rollback",
    ],
  ],
  [
    "no users to wait for",
    planned("{ weight: 5, hold: 1m, atLeast: { users: 0 } }"),
    ["37:52: error: 0 is too small: the minimum is 1"],
  ],
  [
    "a ring that waits for users who can not exist",
    planned("{ when: { percent: 0 }, weight: 5, hold: 1m, atLeast: { users: 5 } }"),
    ["37:13: error: no request is in this ring: its percentage is 0, so the step waits for users for ever"],
  ],
  [
    "an unknown attribute in a ring",
    planned("{ when: { userid: ada }, weight: 5, hold: 1m }"),
    ['37:21: error: unknown attribute "userid"; did you mean "userId"?'],
  ],
  ["no check", edited([checks, "      checks: []\n"]), ["41:15: error: the list of checks is empty"]],
  [
    "two checks of one name",
    edited(["name: slow", "name: errors"]),
    ['43:19: error: another check of this rollout is already named "errors"'],
  ],
  [
    "slow without a limit",
    checked("{ name: slow, metric: slow }"),
    [
      "42:33: error: metric: slow needs over, the duration above which an answer is slow; add over: 800ms, or over: p95",
    ],
  ],
  [
    "errors with a duration",
    checked("{ name: errors, metric: errors, over: 1s }"),
    ["42:43: error: over is for metric: slow; whether an answer failed has nothing to do with its duration"],
  ],
  [
    "two questions in one",
    checked("{ name: errors, metric: errors, atMost: 1%, margin: 1% }"),
    ["42:55: error: atMost and margin are two questions; write a check for each"],
  ],
  [
    "a share without its sign",
    checked("{ name: errors, metric: errors, atMost: 5 }"),
    ['42:51: error: "5" is not a percentage; write 5%'],
  ],
  [
    "a share of nothing",
    checked("{ name: errors, metric: errors, margin: 0% }"),
    ["42:51: error: 0% is not between 0.001% and 99%"],
  ],
  [
    "two kinds at once",
    checked('{ name: errors, metric: errors, webhook: { url: "http://ci" } }'),
    ['42:43: error: "metric" and "webhook" cannot be used together in a check'],
  ],
  [
    "neither kind",
    checked("{ name: errors }"),
    ["42:11: error: a check needs one of the keys metric, prometheus, webhook"],
  ],
  [
    "keys of another kind",
    checked("{ name: errors, metric: errors, every: 1m, beforeStep: 1 }"),
    [
      '42:43: error: "every" has no meaning for a check with metric',
      '42:54: error: "beforeStep" has no meaning for a check with metric',
    ],
  ],
  [
    "Prometheus without a limit",
    checked('{ name: p, prometheus: { url: "http://p:9090", query: up } }'),
    ["42:34: error: prometheus needs at least one of the keys atLeast, atMost"],
  ],
  [
    "limits that no value meets",
    checked('{ name: p, prometheus: { url: "http://p:9090", query: up, atLeast: 2, atMost: 1 } }'),
    ["42:89: error: no value is at least 2 and at most 1"],
  ],
  [
    "a server's URL with a query",
    checked('{ name: p, prometheus: { url: "http://p:9090/?a", query: up, atLeast: 2 } }'),
    ["42:41: error: the URL of a Prometheus server cannot have a query; write the query in query"],
  ],
  [
    "a URL of another protocol",
    checked('{ name: p, webhook: { url: "ftp://ci" } }'),
    ["42:38: error: this is not a URL; write it as in http://ci/smoke"],
  ],
  [
    "credentials in a URL",
    checked('{ name: p, webhook: { url: "http://a:b@ci" } }'),
    ["42:38: error: a URL cannot contain credentials"],
  ],
  [
    "a step that there is not",
    edited(["beforeStep: 1", "beforeStep: 5"]),
    ["47:79: error: there is no step 5: the rollout has 4"],
  ],
  [
    "a false alarm of nothing",
    edited(["      steps:", "      falseAlarm: 0%\n      steps:"]),
    ["36:19: error: 0% is not between 0.001% and 50%"],
  ],
  [
    "a false alarm of more than half",
    edited(["      steps:", "      falseAlarm: 51%\n      steps:"]),
    ["36:19: error: 51% is not between 0.001% and 50%"],
  ],
  [
    "a status that is no failure",
    edited(["      steps:", "      failures: [5xx, 200]\n      steps:"]),
    ['36:23: error: "200" is no status of a failure; write it as in 5xx, 429 or 500-504, from 300 to 599'],
  ],
  [
    "the status of clients that gave up",
    edited(["      steps:", "      failures: 499\n      steps:"]),
    ["36:17: error: 499 never counts: it says that the client gave up; remove it"],
  ],
  [
    "a range that ends first",
    edited(["      steps:", "      failures: 504-500\n      steps:"]),
    ["36:17: error: 504-500 ends before it starts"],
  ],
  ["a cap of nothing", edited(["failures: 50", "failures: 0"]), ["48:38: error: 0 is too small: the minimum is 1"]],
  [
    "a cap that a step reaches",
    edited(["users: 1000", "users: 500"]),
    ["48:22: error: the cap of 500 users is reached before the step that needs 500 users ends; set it above 500"],
  ],
  [
    "no cap",
    edited(["{ users: 1000, failures: 50, requestsPerSecond: 200 }", "{}"]),
    ["48:13: error: caps needs at least one of the keys users, failures, requestsPerSecond"],
  ],
  [
    "a missing secret",
    edited(['hook", secretFile: pins.secret', 'hook", secretFile: none.secret']),
    ["49:68: error: the file <folder>/none.secret cannot be used: no such file"],
  ],
  [
    "a rule that is drawn by no rollout",
    validConfig.replace("use: canary", "use: rollout"),
    ["28:14: error: this release has no rollout that could draw; add rollout to the release, or name a version"],
  ],
  [
    "a version of the reserved name",
    validConfig.replace("      canary: {", '      rollout: { endpoints: ["http://r"] }\n      canary: {'),
    ["17:7: error: a version cannot be named rollout: in a rule, use: rollout is the release's rollout"],
  ],
  [
    "a state that this version can not keep",
    edited(["state: { file: data/state.json }", "state: { kubernetes: {} }"]),
    ['58:10: error: "kubernetes" is not supported by this version of Perch'],
  ],
];

const warnings: readonly Case[] = [
  [
    "a candidate that one service lacks",
    withPages('{ versions: { stable: { endpoints: ["http://s"] } } }', ["split: { stable: 100, canary: 0 }\n    ", ""]),
    ["35:18: warning: service pages without version canary will serve the default version instead"],
  ],
  [
    "no state file",
    edited(["state: { file: data/state.json }\n", ""]),
    [
      "33:5: warning: there is no state file, so rollouts and pauses are lost when the process ends; set state: { file: /var/lib/perch/state.json } at the top",
    ],
  ],
  [
    "a candidate with a weight of its own",
    edited(["{ stable: 100, canary: 0 }", "{ stable: 95, canary: 5 }"]),
    [
      "32:26: warning: the rollout sets the weights of stable and canary while it runs: this one holds only before it starts and when it is over; write canary: 0",
    ],
  ],
  [
    "a split that gives neither version anything",
    edited(
      ["{ stable: 100, canary: 0 }", "{ other: 1 }"],
      ["      canary: {", '      other: { endpoints: ["http://o"] }\n      canary: {'],
    ),
    ["33:5: warning: the split gives nobody stable or canary, so the rollout has nobody to draw; give stable a weight"],
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
    ["37:13: warning: every request is in this ring; leave out when: the weight is then for everyone"],
  ],
  [
    "a ring below the rest",
    planned("{ weight: 10, hold: 1m }", "{ when: { userId: ada }, weight: 10, hold: 1m }"),
    ["38:44: warning: nobody gains by this step: its ring has 10 %, and everyone has 10 % already"],
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
      '40:19: warning: no step answers check "ceiling": the candidate gets nobody; add a step with a weight between 0 and 100',
      '41:19: warning: no step answers check "no-worse": a weight of 0 or 100 leaves no other version to compare with; add a step with a weight between 0 and 100',
    ],
  ],
  [
    "a limit above the total timeout",
    edited(["timeouts: { connect: 2s }", "timeouts: { connect: 2s, total: 4s }"], ["over: 800ms", "over: 4s"]),
    ["43:45: warning: no answer takes over 4s: on every route of release shop the total timeout of 4s ends it before"],
  ],
];

describe("problems", () => {
  test.each(errors)("%s: rejected", (_sentence, text, wanted) => {
    const result = load(text);
    expect([result.ok, problemsOf(result)]).toEqual([false, wanted]);
  });

  test.each(warnings)("%s: a warning", (_sentence, text, wanted) => {
    const result = load(text);
    expect([result.ok, problemsOf(result)]).toEqual([true, wanted]);
  });

  test("none that follows from another: no warning about what an error left out", () => {
    expect(problemsOf(load(planned("{ when: { userid: ada }, weight: 0, hold: 1m }")))).toEqual([
      '37:21: error: unknown attribute "userid"; did you mean "userId"?',
    ]);
  });

  test("none about a total timeout that some route has not", () => {
    const text = edited(
      ["over: 800ms", "over: 4s"],
      ["    service: shop\n", "    service: shop\n    timeouts: { total: 2s }\n"],
    );
    expect(problemsOf(load(text))).toEqual([]);
  });
});

describe("a rule", () => {
  test("may be drawn by the rollout, and may keep what was rolled back", () => {
    const [release] = compiled(
      edited(
        ["use: canary", "use: rollout"],
        ["use: { canary: 10, stable: 90 }", "use: canary\n        onRollback: keep"],
      ),
    ).releases;
    expect(release?.rules).toMatchObject([
      { name: "first", use: useRollout, onRollback: "withdraw" },
      { name: "second", use: "canary", onRollback: "keep" },
    ]);
  });
});

describe("the state file", () => {
  test("is beside the configuration, and is not watched", () => {
    const { stateFile, files } = compiled(base);
    expect(stateFile).toBe(`${process.cwd()}/data/state.json`);
    expect(files).toEqual([`${process.cwd()}/pins.secret`]);
    expect(compiled(validConfig).stateFile).toBeUndefined();
  });
});

/** The key of the first ring of a rollout with one step. */
function keyOf(when: string, text = planned(`{ when: ${when}, weight: 5, hold: 1m }`)): string {
  const [step] = rolloutOf(text).steps;
  if (step?.kind !== "weight" || step.ring === undefined) throw new Error("no ring");
  return step.ring.key;
}

describe("a ring's key", () => {
  test("is the same for ever: state files hold it", () => {
    expect(keyOf("{ userId: ada }")).toBe("userId-ada-5346c035");
    expect(keyOf("{ userId: [grace, ada], any: [{ staff: true }, { not: { orders: { atLeast: 3 } } }] }")).toBe(
      "not-orders-atLeast-3-or-staff-true-userI-a7b6569b",
    );
  });

  test.each([
    ["the order of entries", "{ userId: ada, staff: true }", "{ staff: true, userId: ada }"],
    ["the order of values", "{ userId: [ada, grace] }", "{ userId: [grace, ada] }"],
    [
      "the order of conditions",
      "{ any: [{ staff: true }, { userId: ada }] }",
      "{ any: [{ userId: ada }, { staff: true }] }",
    ],
    ["the form of an operand", "{ userId: ada }", "{ userId: { equals: ada } }"],
  ])("does not depend on %s", (_sentence, one, other) => {
    expect(keyOf(one)).toBe(keyOf(other));
  });

  test("does not depend on the place of the attribute", () => {
    const step = planned("{ when: { userId: ada }, weight: 5, hold: 1m }");
    const moved = step.replace(
      "attributes:\n",
      "attributes:\n  first: { type: string, from: [{ header: x-first }] }\n",
    );
    expect(keyOf("", moved)).toBe(keyOf("", step));
  });

  test("differs for different conditions, and is letters, digits, _ and - alone", () => {
    const conditions = [
      "{ userId: ada }",
      "{ userId: Ada }",
      "{ header: { userid: ada } }",
      "{ cookie: { userid: ada } }",
      "{ not: { userId: ada } }",
      "{ userId: 商店 }",
      "{ userId: 商 }",
      "{ userId: { regex: '^a.*$' } }",
      "{ percent: 5 }",
      "{ percent: 5, seed: a }",
      "{ any: [{ userId: ada }, { staff: true }] }",
      "{ all: [{ userId: ada }, { staff: true }] }",
      "{ peer: { cidr: 2001:db8::/32 } }",
      `{ userId: ${"long".repeat(50)} }`,
      `{ userId: ${"long".repeat(51)} }`,
    ];
    const keys = conditions.map((when) => keyOf(when));
    expect(new Set(keys).size).toBe(keys.length);
    for (const key of keys) expect(key).toMatch(/^[A-Za-z0-9_-]{1,49}$/);
  });
});

describe("the JSON Schema", () => {
  const validate = new Ajv2020({ allowUnionTypes: true }).compile(jsonSchema());

  test("accepts a rollout", () => {
    expect(validate(parse(base)), JSON.stringify(validate.errors)).toBe(true);
  });

  const plain =
    "1 0 1.5 1e3 '5' true off 5s 0s 5% 5xx 503 404-499 pause p95 slow canary rollback http://a:1/b HTTPS://a [5xx] [pause]";
  const spellings = [...plain.split(" "), "'a b'", `"\${WEIGHT}"`];

  test("accepts whatever Perch accepts", { tags: ["slow"], timeout: 60_000 }, () => {
    const rollout = base.slice(base.indexOf("    rollout:"), base.indexOf("routes:"));
    const start = base.indexOf(rollout);
    const extra =
      "      drift: warn\n      failures: [5xx, 429]\n      falseAlarm: 2%\n      onFail: pause\n      start: auto\n";
    const text = rollout + extra;
    let loaded = 0;
    for (const { 0: word, index } of text.matchAll(/(?<=[:[,{] )[^\s,{}[\]:]+(?=[\s,\]}])/g)) {
      for (const spelling of spellings) {
        const respelt = text.slice(0, index) + spelling + text.slice(index + word.length);
        const whole = base.slice(0, start) + respelt + base.slice(start + rollout.length);
        if (!load(whole).ok) continue;
        loaded++;
        expect(validate(parse(whole)), `${word} → ${spelling}: ${JSON.stringify(validate.errors)}`).toBe(true);
      }
    }
    expect(loaded).toBeGreaterThan(60);
  });
});
