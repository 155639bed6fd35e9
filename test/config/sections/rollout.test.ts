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
      "32:14: warning: x",
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
    ["35:7: error: x"],
  ],
  [
    "no service to take the baseline from",
    edited([
      "    service: shop\n    release: shop\n  - name: shop\n    service: shop\n    release: shop\n",
      "    service: shop\n",
    ]),
    ["x"],
  ],
  [
    "a candidate that one service lacks",
    withPages('{ versions: { stable: { endpoints: ["http://s"] } } }', ["split: { stable: 100, canary: 0 }\n    ", ""]),
    ["x"],
  ],
  ["no step", planned().replace("steps:\n", "steps: []\n"), ["x"]],
  ["pauses only", planned("pause"), ["x"]],
  ["another word for pause", planned("{ pause: true }"), ["x"]],
  ["a step without hold", planned("{ weight: 5 }"), ["x"]],
  ["a weight above 100", planned("{ weight: 101, hold: 1m }"), ["x"]],
  ["a weight that goes down", planned("{ weight: 10, hold: 1m }", "pause", "{ weight: 5, hold: 1m }"), ["x"]],
  [
    "a ring's weight that goes down",
    planned(
      "{ when: { userId: ada, app: { semver: '>=4' } }, weight: 50, hold: 1m }",
      "{ weight: 20, hold: 1m }",
      "{ when: { app: { semver: '>=4' }, userId: ada }, weight: 40, hold: 1m }",
    ),
    ["x"],
  ],
  ["no users to wait for", planned("{ weight: 5, hold: 1m, atLeast: { users: 0 } }"), ["x"]],
  [
    "a ring that waits for users who can not exist",
    planned("{ when: { percent: 0 }, weight: 5, hold: 1m, atLeast: { users: 5 } }"),
    ["x"],
  ],
  ["an unknown attribute in a ring", planned("{ when: { userid: ada }, weight: 5, hold: 1m }"), ["x"]],
  ["no check", edited([checks, "      checks: []\n"]), ["x"]],
  ["two checks of one name", edited(["name: slow", "name: errors"]), ["x"]],
  ["slow without a limit", checked("{ name: slow, metric: slow }"), ["x"]],
  ["errors with a duration", checked("{ name: errors, metric: errors, over: 1s }"), ["x"]],
  ["two questions in one", checked("{ name: errors, metric: errors, atMost: 1%, margin: 1% }"), ["x"]],
  ["a share without its sign", checked("{ name: errors, metric: errors, atMost: 5 }"), ["x"]],
  ["a share of nothing", checked("{ name: errors, metric: errors, margin: 0% }"), ["x"]],
  ["two kinds at once", checked('{ name: errors, metric: errors, webhook: { url: "http://ci" } }'), ["x"]],
  ["neither kind", checked("{ name: errors }"), ["x"]],
  ["keys of another kind", checked("{ name: errors, metric: errors, every: 1m, beforeStep: 1 }"), ["x"]],
  ["Prometheus without a limit", checked('{ name: p, prometheus: { url: "http://p:9090", query: up } }'), ["x"]],
  [
    "limits that no value meets",
    checked('{ name: p, prometheus: { url: "http://p:9090", query: up, atLeast: 2, atMost: 1 } }'),
    ["x"],
  ],
  [
    "a server's URL with a query",
    checked('{ name: p, prometheus: { url: "http://p:9090/?a", query: up, atLeast: 2 } }'),
    ["x"],
  ],
  ["a URL of another protocol", checked('{ name: p, webhook: { url: "ftp://ci" } }'), ["x"]],
  ["credentials in a URL", checked('{ name: p, webhook: { url: "http://a:b@ci" } }'), ["x"]],
  ["a step that there is not", edited(["beforeStep: 1", "beforeStep: 5"]), ["x"]],
  ["a false alarm of nothing", edited(["      steps:", "      falseAlarm: 0%\n      steps:"]), ["x"]],
  ["a false alarm of more than half", edited(["      steps:", "      falseAlarm: 51%\n      steps:"]), ["x"]],
  ["a status that is no failure", edited(["      steps:", "      failures: [5xx, 200]\n      steps:"]), ["x"]],
  ["the status of clients that gave up", edited(["      steps:", "      failures: 499\n      steps:"]), ["x"]],
  ["a range that ends first", edited(["      steps:", "      failures: 504-500\n      steps:"]), ["x"]],
  ["a cap of nothing", edited(["failures: 50", "failures: 0"]), ["x"]],
  ["a cap that a step reaches", edited(["users: 1000", "users: 500"]), ["x"]],
  ["no cap", edited(["{ users: 1000, failures: 50, requestsPerSecond: 200 }", "{}"]), ["x"]],
  ["a missing secret", edited(['hook", secretFile: pins.secret', 'hook", secretFile: none.secret']), ["x"]],
  ["a rule that is drawn by no rollout", validConfig.replace("use: canary", "use: rollout"), ["x"]],
  [
    "a version of the reserved name",
    validConfig.replace("      canary: {", '      rollout: { endpoints: ["http://r"] }\n      canary: {'),
    ["x"],
  ],
  [
    "a state that this version can not keep",
    edited(["state: { file: data/state.json }", "state: { kubernetes: {} }"]),
    ["x"],
  ],
];

const warnings: readonly Case[] = [
  ["no state file", edited(["state: { file: data/state.json }\n", ""]), ["x"]],
  ["a candidate with a weight of its own", edited(["{ stable: 100, canary: 0 }", "{ stable: 95, canary: 5 }"]), ["x"]],
  [
    "a split that gives neither version anything",
    edited(
      ["{ stable: 100, canary: 0 }", "{ other: 1 }"],
      ["      canary: {", '      other: { endpoints: ["http://o"] }\n      canary: {'],
    ),
    ["x"],
  ],
  ["pins that hold", edited(["      by: userId", "      whenWeightsChange: hold\n      by: userId"]), ["x"]],
  [
    "a ring that nobody is in",
    planned(
      "{ when: { host: a.example }, weight: 5, hold: 1m }",
      "{ when: { percent: 0 }, weight: 5, hold: 1m }",
    ).replaceAll("name: shop\n    service", "name: shop\n    match: { hosts: [b.example] }\n    service"),
    ["x"],
  ],
  ["a ring that everybody is in", planned("{ when: {}, weight: 5, hold: 1m }"), ["x"]],
  [
    "a ring below the rest",
    planned("{ weight: 10, hold: 1m }", "{ when: { userId: ada }, weight: 10, hold: 1m }"),
    ["x"],
  ],
  ["nothing to compare", planned("{ weight: 0, hold: 1m }", "{ weight: 100, hold: 1m }"), ["x"]],
  ["nobody to count", edited([steps, "      steps: [{ weight: 0, hold: 1m }]\n"], [", beforeStep: 1", ""]), ["x"]],
  [
    "a limit above the total timeout",
    edited(["timeouts: { connect: 2s }", "timeouts: { connect: 2s, total: 500ms }"]),
    ["x"],
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
});
