/** @module-tag slow */
import { describe, expect, it } from "vitest";
import type { PlanAnswer } from "../../src/admin/plan-bodies.ts";
import { PlanThread, type PlanThreadParts } from "../../src/app/plan-thread.ts";
import type { ActiveInput } from "../../src/app/planned-config.ts";
import { loadConfigText } from "../../src/config/load.ts";
import type { ReleaseTraffic } from "../../src/decide/release-traffic.ts";
import { stableSecret } from "../../src/plan/plan.ts";
import { freeAfterTest } from "../kit/freed.ts";
import { shopYaml } from "../plan/configs.ts";

const token = "Sesame-0123456789-0123456789-abcdef";
const files = { "/etc/perch/tokens": token, "/etc/perch/vips": "alice\nbob" };

interface Setup extends Partial<PlanThreadParts> {
  readonly env?: Record<string, string>;
  readonly held?: Record<string, string>;
  readonly now?: ReleaseTraffic;
}

function load(text: string, { env = {}, held = files }: Setup) {
  const loaded = loadConfigText(text, {
    file: "/etc/perch/perch.yaml",
    env,
    readFile: (path) => Buffer.from(held[path] ?? ""),
    randomSecret: stableSecret,
  });
  if (!loaded.ok) throw new Error(loaded.problems[0]?.message);
  return loaded;
}

/** A planner over this active configuration. */
function planning(text: string, setup: Setup = {}) {
  const { env = {}, held, now, ...parts } = setup;
  const state = { loaded: load(text, setup) };
  const active = (): ActiveInput => {
    const { sources, hash } = state.loaded;
    return { ...sources, hash, env, hasStateDir: false, file: "/etc/perch/perch.yaml" };
  };
  const planner = new PlanThread({
    active,
    release: (name) => state.loaded.compiled.releases.find((spec) => spec.name === name),
    traffic: () => now,
    ...parts,
  });
  freeAfterTest(() => planner.close());
  const reload = (next: string) => {
    state.loaded = load(next, setup);
  };
  return { planner, reload };
}

/** What refers to a variable in a configuration. */
const ref = (name: string) => `\${${name}}`;

const problemsOf = (answer: PlanAnswer) => (answer.kind === "invalid" ? answer.problems.join("\n") : answer.kind);

const yaml = shopYaml("split: { stable: 90, canary: 10 }");
const withTokens = `admin: { tokenFile: tokens }\n${yaml}`;

describe("a plan", () => {
  it("says which users would move from the active configuration, and what else changes", async () => {
    const { planner } = planning(yaml);
    const answer = await planner.plan(shopYaml("split: { stable: 50, canary: 50 }"));
    expect(answer).toMatchObject({
      kind: "planned",
      warnings: expect.arrayContaining([expect.stringContaining("no release uses attribute region")]),
      plan: {
        old: "/etc/perch/perch.yaml",
        new: "/etc/perch/perch.yaml",
        units: 10_000,
        releases: [{ release: "shop", change: "changed", cohorts: [{ rule: null }] }],
        reload: { changes: [], restartNeeded: [] },
      },
    });
    expect(JSON.stringify(answer)).toMatch(
      /"pinned":\{"moved":0\.(38|39|40)\d*,"moves":\[\{"from":"stable","to":"canary"/,
    );
  });

  it("is of the configuration that is active when it is asked for, in the same thread", async () => {
    const next = shopYaml("split: { stable: 50, canary: 50 }");
    const { planner, reload } = planning(yaml);
    expect(JSON.stringify(await planner.plan(next))).toContain('"change":"changed"');
    reload(next);
    expect(JSON.stringify(await planner.plan(next))).toContain('"change":"unchanged"');
  });

  it("of an invalid text has all problems, with carets", async () => {
    const { planner } = planning(yaml);
    const answer = await planner.plan(`${yaml}wieght: 1\nexposeVersion: perhaps\n`);
    expect(problemsOf(answer)).toMatch(
      /perch\.yaml:8:1: error: unknown key "wieght".*\n +8 \| wieght: 1\n +\| \^{6}\n/,
    );
    expect(problemsOf(answer)).toContain("perch.yaml:9:16: error");
  });

  it("of a hash that the thread does not get is refused, and the next is answered", async () => {
    const { planner, reload } = planning(yaml, {});
    const bad = new PlanThread({
      active: () => ({ ...load(yaml, {}).sources, hash: "x", env: {}, hasStateDir: false, file: "perch.yaml" }),
      release: () => undefined,
      traffic: () => undefined,
    });
    freeAfterTest(() => bad.close());
    await expect(bad.plan(yaml)).rejects.toThrow("expected x");
    await expect(bad.plan(yaml)).rejects.toThrow("expected x");
    reload(yaml);
    expect((await planner.plan(yaml)).kind).toBe("planned");
  });
});

describe("security: whoever may only read learns from a plan", () => {
  it("of no file that the active configuration does not read", async () => {
    const { planner } = planning(withTokens);
    const text = shopYaml(
      "rules: [{ name: r, when: { userId: { inFile: /etc/passwd } }, use: canary }], split: { stable: 1 }",
    );
    const answer = await planner.plan(text);
    expect(problemsOf(answer)).toContain(
      "the file /etc/passwd cannot be used: the running configuration does not read this file; run perch plan where the file is",
    );
    expect(problemsOf(answer)).toMatch(/\^{11}\n/);
    expect(problemsOf(await planner.plan(`${yaml}geo: { database: /etc/passwd }\n`))).toContain(
      "the running configuration does not read this file",
    );
  });

  it("nothing of what the files hold that it reads", async () => {
    const { planner } = planning(withTokens);
    const texts = [
      `${yaml.replace("region: { type: string", "region: { type: semver")}`.replace(
        "split:",
        "rules: [{ name: r, when: { region: { inFile: tokens } }, use: canary }], split:",
      ),
      `${yaml}jwt: { audience: [a], keys: [{ jwksFile: tokens }] }\n`,
      `${yaml}listeners: [{ name: web, address: "127.0.0.1:1", tls: { certificates: [{ certFile: tokens, keyFile: tokens }] } }]\n`,
      `${yaml}tracing: { otlp: { endpoint: "http://a:1/", headersFile: tokens } }\n`,
    ];
    for (const text of texts) {
      const problems = problemsOf(await planner.plan(text));
      expect(problems).not.toMatch(/sesame|012345/i);
      expect(problems).toContain("the contents of this file cause a problem");
    }
  });

  it("no variable that the active configuration does not refer to", async () => {
    const env = { HOST: "shop.internal", SECRET: "open-sesame" };
    const { planner } = planning(yaml.replace("http://127.0.0.1:8001", `http://${ref("HOST")}:8001`), { env });
    const asking = (value: string) => planner.plan(yaml.replace("http://127.0.0.1:8001", value));
    expect(problemsOf(await asking(`http://${ref("SECRET")}:1`))).toContain(
      "the environment variable SECRET is not set",
    );
    expect((await asking(`http://${ref("SECRET:-other")}:1`)).kind).toBe("planned");
    expect((await asking(`http://${ref("HOST")}:1`)).kind).toBe("planned");
    expect(JSON.stringify(await asking(`http://${ref("HOST")}:1`))).not.toContain("shop.internal");
  });

  const secret = "Open-Sesame.Zwölf/3+4?";
  const long = "s".repeat(20) + "Q".repeat(100);
  const uses: readonly (readonly [sentence: string, text: (value: string) => string])[] = [
    ["a wrong type", (value) => `${yaml}exposeVersion: "${value}"\n`],
    ["a name that is like another", (value) => yaml.replace("service: shop", `service: "${value}"`)],
    ["an address", (value) => yaml.replace("http://127.0.0.1:8001", `${value}://a`)],
    ["part of a text that is cut", (value) => `${yaml}exposeVersion: "${"x".repeat(55)}${value}"\n`],
    ["a value of many lines", (value) => `${yaml}pathNormalisation: >-\n  a\n  ${value}\n`],
    ["an escape", (value) => `${yaml}exposeVersion: "${value.replace("$", "\\u0024")}"\n`],
    [
      "a regular expression",
      (value) => yaml.replace("name: shop,", `name: shop, match: { path: { regex: "[${value}" } },`),
    ],
    ["a route's name", (value) => yaml.replace("routes: [", `routes: [{ name: "${value}", service: shop }, `)],
    [
      "a path",
      (value) =>
        yaml.replace("routes: [", `routes: [{ name: a, match: { path: { prefix: "/${value}" } }, service: shop }, `),
    ],
    ["an alias", (value) => `${yaml}exposeVersion: &a "${value}"\npathNormalisation: *a\n`],
  ];
  it.each(uses)("no value of a variable, by %s", async (_sentence, text) => {
    const env = { SECRET: secret, LONG: long, EMPTY: "" };
    const headers = `requestHeaders: { set: { a: '${ref("SECRET")}', b: '${ref("LONG")}', c: '${ref("EMPTY:-x")}' } }`;
    const { planner } = planning(yaml.replace("name: shop,", `name: shop, ${headers},`), { env });
    for (const name of ["SECRET", "LONG"]) {
      const answer = await planner.plan(text(ref(name)));
      expect(JSON.stringify(answer)).not.toMatch(/sesame|zw(ö|%C3%B6)lf|ssss|QQQ/i);
    }
  });
});

it("security: a message does not say how near a guess is to the value of a variable", async () => {
  const { planner } = planning(yaml.replace("http://127.0.0.1:8001", `http://${ref("HOST")}:8001`), {
    env: { HOST: "open-sesame" },
  });
  const guess = yaml.replace(
    "services: {",
    'services: { open-sesam: { versions: { a: { endpoints: ["http://a"] } } },',
  );
  const problems = problemsOf(await planner.plan(guess.replace("service: shop", `service: "${ref("HOST")}"`)));
  expect(problems).toContain("the values of its variables cause a problem");
  expect(problems).not.toMatch(/did you mean|sesame/);
});

describe("a plan of a hostile text", () => {
  const aliases = Array.from({ length: 30 }, (_, at) => `a${at + 1}: &a${at + 1} [${`*a${at}, `.repeat(9)}*a${at}]`);
  it.each<[sentence: string, text: string]>([
    ["nested deeply", "[".repeat(100_000)],
    ["aliases of aliases", `a0: &a0 [x, x]\n${aliases.join("\n")}`],
    ["thirty thousand keys", Array.from({ length: 30_000 }, (_, at) => `k${at}: 1`).join("\n")],
    ["hundred thousand variables", `a: "${"${A".repeat(200_000)}"`],
    ["nothing", ""],
  ])("%s ends soon, with problems", async (_sentence, text) => {
    const answer = await planning(yaml).planner.plan(text);
    expect(["invalid", "busy"]).toContain(answer.kind);
  });

  it("that is larger than 1 MiB is refused without a thread", async () => {
    const { planner } = planning(yaml);
    expect(problemsOf(await planner.plan("é".repeat(600_000)))).toContain("larger than 1 MiB");
    expect(planner.isRunning).toBe(false);
  });
});

describe("a preview of a split", () => {
  const preview = async (planner: PlanThread, split: Record<string, number>) => {
    const answer = await planner.previewSplit("shop", split);
    if (answer.kind !== "preview") throw new Error(answer.message);
    return answer.preview;
  };

  it("says how many of the users with a pin move, against the configured weights", async () => {
    const { moved, moves, after } = await preview(planning(yaml).planner, { stable: 3, canary: 1 });
    expect(moved).toBeCloseTo(0.15, 1);
    expect(moves).toEqual([{ from: "stable", to: "canary", share: moved }]);
    expect(after).toEqual({ stable: 0.75, canary: 0.25 });
  });

  it("is against the weights that an operator set", async () => {
    const now = { split: { stable: 1, canary: 1 }, rollout: undefined };
    const { planner } = planning(yaml, { now });
    expect((await preview(planner, { stable: 1, canary: 1 })).moved).toBe(0);
    const { moved, moves } = await preview(planner, { stable: 90, canary: 10 });
    expect([moves[0]?.from, moves[0]?.to]).toEqual(["canary", "stable"]);
    expect(moved).toBeCloseTo(0.4, 1);
  });

  it("moves nobody with a pin under hold, but from a version that gets no weight", async () => {
    const { planner } = planning(shopYaml("split: { stable: 90, canary: 10 }, sticky: { whenWeightsChange: hold }"));
    expect(await preview(planner, { stable: 1, canary: 1 })).toMatchObject({ moved: 0, after: { canary: 0.5 } });
    expect((await preview(planner, { stable: 1, canary: 0 })).moved).toBeCloseTo(0.1, 1);
  });

  it("keeps what a running rollout gives the candidate", async () => {
    const rollout = { id: "1", baseline: "stable", candidate: "canary", weight: 20, step: 0, rings: [] } as const;
    const now = { split: undefined, rollout: { ...rollout, candidateIs: "drawn" as const } };
    const { planner } = planning(yaml, { now });
    expect(await preview(planner, { stable: 1, canary: 9 })).toMatchObject({ moved: 0 });
    const { after } = await preview(planner, { stable: 1, v3: 1 });
    expect(after).toEqual({ stable: 0.4, canary: 0.1, v3: 0.5 });
  });

  it("refuses what a split that is set must not be, and releases that are not there, without a thread", async () => {
    const { planner } = planning(yaml);
    expect(await planner.previewSplit("blog", { stable: 1 })).toMatchObject({ kind: "no-release" });
    expect(await planner.previewSplit("shop", { v9: 1 })).toMatchObject({ kind: "invalid" });
    expect(await planner.previewSplit("shop", { stable: 0 })).toMatchObject({ kind: "invalid" });
    expect(planner.isRunning).toBe(false);
  });
});

describe("the thread", () => {
  const entry = new URL("./ending-planner.ts", import.meta.url);

  it("answers four questions one after the other; a fifth learns that it is busy", async () => {
    const { planner } = planning(yaml);
    const plan = planner.plan(yaml);
    const previews = [1, 2, 3, 4].map((stable) => planner.previewSplit("shop", { stable, canary: 1 }));
    expect((await plan).kind).toBe("planned");
    const answers = await Promise.all(previews);
    expect(answers.pop()).toEqual({ kind: "busy", message: expect.stringContaining("Too many") });
    const shares = answers.map((answer) => answer.kind === "preview" && answer.preview.after["canary"]);
    expect(shares).toEqual([1 / 2, 1 / 3, 1 / 4]);
    expect((await planner.plan(yaml)).kind).toBe("planned");
  });

  it("goes on with the next in line when it has ended", async () => {
    const { planner } = planning(yaml, { entry, timeLimitMs: 20_000 });
    const answers = await Promise.all(["end", "end", "end"].map((text) => planner.plan(text)));
    const ended = { kind: "busy", message: expect.stringContaining("ended") };
    expect(answers).toEqual([ended, ended, ended]);
  });

  it("ends when it was idle for a while, and starts again with the next question", async () => {
    const { planner } = planning(yaml, { idleMs: 1 });
    expect((await planner.plan(yaml)).kind).toBe("planned");
    await expect.poll(() => planner.isRunning).toBe(false);
    expect((await planner.plan(yaml)).kind).toBe("planned");
  });

  it.each([
    ["end", "ended"],
    ["grow", "memory"],
    ["wait", "longer than 0.5 s"],
  ])("that does not answer is not waited for: %s", { tags: ["slow"] }, async (text, why) => {
    const timeLimitMs = text === "wait" ? 500 : 60_000;
    const { planner } = planning(yaml, { entry, timeLimitMs });
    for (let time = 0; time < 2; time++) {
      expect(await planner.plan(text)).toEqual({ kind: "busy", message: expect.stringContaining(why) });
      expect(planner.isRunning).toBe(false);
    }
  });

  it("ends with Perch, and all questions in line are answered", async () => {
    const { planner } = planning(yaml, { entry });
    const answers = Promise.all([planner.plan("wait"), planner.plan("wait")]);
    await planner.close();
    const stopping = { kind: "busy", message: "Perch is stopping." };
    expect([await answers, planner.isRunning]).toEqual([[stopping, stopping], false]);
    expect((await planner.plan(yaml)).kind).toBe("busy");
  });
});
