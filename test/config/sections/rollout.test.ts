import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { jsonSchema } from "../../../src/config/schema.ts";
import { useRollout } from "../../../src/decide/release-spec.ts";
import { base, checked, checks, edited, planned, rolloutOf, withPages } from "../rollout-config.ts";
import { compiled, load, problemsOf, validConfig } from "../valid-config.ts";

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
      "34:7: error: the rollout needs a baseline: no route pairs release shop with a known service; set baseline to the version that users have now",
      "20:3: warning: no route uses release shop",
    ],
  ],
  ["no step", planned().replace("steps:\n", "steps: []\n"), ["36:14: error: the list of steps is empty"]],
  [
    "pauses only",
    planned("pause"),
    [
      "37:9: error: these steps give the candidate no users: all of them are pauses; add a step such as { weight: 1, hold: 5m }",
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
    "a check named like a built-in one",
    edited(["name: slow", "name: drift"]),
    ['43:19: error: a built-in check is already named "drift"'],
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
    "a shared state without a token by which the replicas reach one another",
    edited(["state: { file: data/state.json }", "state: { kubernetes: { configMap: perch-state, lease: perch } }"]),
    [
      "58:22: error: replicas reach one another by the admin server with a token, and there is no admin.tokenFile; " +
        "set admin: { tokenFile: … }",
    ],
  ],
];

describe("a rollout with a mistake", () => {
  test.each(errors)("%s is rejected", (_sentence, text, wanted) => {
    const result = load(text);
    expect([result.ok, problemsOf(result)]).toEqual([false, wanted]);
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

describe("the JSON Schema", () => {
  const validate = new Ajv2020({ allowUnionTypes: true }).compile(jsonSchema());

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
      for (const spelling of spellings.filter((_, at) => (at + index) % 3 === 0)) {
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
