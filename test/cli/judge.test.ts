/** @module-tag slow */
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import type { Judgement } from "../../src/cli/judge/judgement.ts";
import { perch, temporaryFolder } from "./captured-terminal.ts";
import { gapMs, judgedConfig, type Simulation, simulatedLog, startMs } from "./judge/simulated-log.ts";

const file = temporaryFolder();
const config = file("perch.yaml", judgedConfig());
const worse: Simulation = { seed: 1, errors: { stable: 0.01, canary: 0.1 } };
const log = (name: string, lines: readonly string[]) => file(name, `${lines.join("\n")}\n`);
const bytes = (name: string, content: Uint8Array) => {
  const path = file(name, "");
  writeFileSync(path, content);
  return path;
};

const judge = (path: string, ...more: readonly string[]) =>
  perch(["judge", "-c", config, "--release", "shop", ...more, path]);

async function judged(path: string): Promise<Judgement> {
  const { out, err } = await judge(path, "--json");
  expect(err).toBe("");
  return JSON.parse(out);
}

describe("perch judge", () => {
  it("finds a regression and says at which line", async () => {
    const path = log("worse.log", simulatedLog(worse));
    const { code, out, err } = await judge(path, "--json");
    const judgement: Judgement = JSON.parse(out);
    expect({ code, err }).toEqual({ code: 1, err: "" });
    const errors = judgement.checks[0];
    expect(judgement).toEqual({
      release: "shop",
      baseline: "stable",
      candidate: "canary",
      verdict: "fail",
      requests: errors?.requests,
      users: (errors?.baseline?.users ?? 0) + (errors?.candidate?.users ?? 0),
      checks: [
        {
          name: "errors",
          metric: "errors",
          verdict: "fail",
          at: new Date(startMs + (judgement.requests - 1) * gapMs).toISOString(),
          requests: judgement.requests,
          baseline: { users: expect.any(Number), bad: expect.any(Number) },
          candidate: { users: expect.any(Number), bad: expect.any(Number) },
          evidence: expect.any(Number),
          limit: 200,
          interval: null,
          why: expect.stringContaining("users who met an error were on canary, which has 10 % of users"),
        },
        expect.objectContaining({
          name: "slow",
          metric: "slow",
          verdict: expect.stringMatching(/^(pass|not-enough-data)$/),
        }),
        expect.objectContaining({ name: "drift" }),
      ],
    });
    expect(judgement.requests).toBeLessThan(3_000);
    expect(errors?.evidence).toBeGreaterThanOrEqual(200);
  });

  it("reads no further than to the line at which the verdict fell", async () => {
    const lines = simulatedLog(worse);
    const { requests } = await judged(log("whole.log", lines));
    expect(await judged(log("until.log", lines.slice(0, requests)))).toMatchObject({ verdict: "fail", requests });
    expect((await judged(log("before.log", lines.slice(0, requests - 1)))).verdict).not.toBe("fail");
  });

  it("passes equal versions, when the last of the plan's checks passes", async () => {
    const { code, out } = await judge(log("equal.log", simulatedLog({ seed: 2 })), "--json");
    const { verdict, requests, checks }: Judgement = JSON.parse(out);
    expect({ code, verdict }).toEqual({ code: 0, verdict: "pass" });
    const planned = checks.slice(0, 2);
    expect(requests).toBe(Math.max(...planned.map((check) => check.requests)));
    expect(requests).toBeLessThan(3_000);
    for (const check of planned) {
      expect(Math.abs(Date.parse(check.at ?? "") - startMs - check.requests * gapMs)).toBeLessThanOrEqual(gapMs);
    }
  });

  it("says so if there is too little data", async () => {
    const { code, out } = await judge(log("little.log", simulatedLog({ seed: 3, requests: 100 })), "--json");
    const { verdict, requests, checks }: Judgement = JSON.parse(out);
    expect({ code, verdict, requests }).toEqual({ code: 0, verdict: "not-enough-data", requests: 100 });
    expect(checks[0]).toMatchObject({ verdict: "not-enough-data", at: null, requests: 100 });
  });

  it("is read by people: the verdict first, then why and what it cost", async () => {
    const { code, out, err } = await judge(log("people.log", simulatedLog(worse)));
    expect({ code, err }).toEqual({ code: 1, err: "" });
    expect(out).toMatch(/^FAIL: canary fails errors after [\d,]+ requests, at 2026-03-01T00:\d\d:\d\d\.\d{3}Z\.\n/);
    expect(out).toMatch(
      /\n {2}errors: fail after [\d,]+ requests\n {4}\d+ of the \d+ users who met an error were on canary/,
    );
    expect(out).toMatch(
      /\nUntil it was found, \d+ of \d+ users of canary met an error, \d+ of [\d,]+ users of stable met/,
    );
    expect(out).toMatch(/\n([\d,]+) lines read: \1 judged\.\n$/);
  });

  it("unpacks gzip, several files packed one after another too", async () => {
    const lines = simulatedLog(worse);
    const halves = [lines.slice(0, 400), lines.slice(400)].map((half) => gzipSync(`${half.join("\n")}\n`));
    expect(await judged(bytes("packed.log.gz", Buffer.concat(halves)))).toEqual(await judged(log("plain.log", lines)));
  });

  it("judges what came of a cut gzip file, and says so", async () => {
    const packed = gzipSync(simulatedLog({ seed: 2 }).join("\n"));
    const { code, out, err } = await judge(bytes("cut.gz", packed.subarray(0, packed.length / 2)), "--json");
    expect({ code, verdict: JSON.parse(out).verdict }).toEqual({ code: 0, verdict: "pass" });
    expect(err).toMatch(
      /^perch judge: .*cut\.gz is cut or damaged gzip \(unexpected end of file\); the lines before that are/,
    );
  });

  it("reads the standard input", () => {
    const args = ["src/cli/main.ts", "judge", "-c", config, "--release", "shop", "--json", "-"];
    const input = gzipSync(simulatedLog(worse).join("\n"));
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { input, encoding: "utf8" });
    expect({ status, stderr }).toEqual({ status: 1, stderr: "" });
    expect(JSON.parse(stdout).verdict).toBe("fail");
  });

  it("counts the lines that it cannot use", async () => {
    const lines = simulatedLog({ seed: 3, requests: 100, placed: 20 });
    const placed = lines.filter((line) => line.includes('"reason":"rule"')).length;
    const others = ["{", "2", '{"level":"info","msg":"listening"}', '{"release":"shop","status":200}', "", "\r"];
    const { out } = await judge(
      log("others.log", [...others, ...lines, ...simulatedLog({ seed: 4, requests: 7, release: "plain" })]),
    );
    expect(out).toContain(`\n111 lines read: ${100 - placed} judged; ${placed} placed by a rule,`);
    expect(out).toContain("; 7 of other releases; 1 no requests with a release; 3 not JSON or without a time.\n");
  });

  it("tells what a log without odds or units is judged by", async () => {
    const { err } = await judge(log("old.log", simulatedLog({ seed: 3, requests: 100, without: ["odds", "unit"] })));
    expect(err).toBe(
      "perch judge: 100 lines without odds are judged by the plan's weight at their time\n" +
        "perch judge: 100 lines without unit count as one user each, so one broken client counts as many users\n",
    );
  });

  it("does not trust a log that another plan made", async () => {
    const old = simulatedLog({ seed: 3, canary: 0.5, without: ["odds"] });
    expect((await judge(log("plan.log", old))).err).toContain("the verdict is unreliable");
  });

  it("names the checks that a log cannot answer", async () => {
    const path = file(
      "external.yaml",
      judgedConfig(`steps: [{ weight: 10, hold: 7d }], checks: [
      { name: errors, metric: errors },
      { name: orders, prometheus: { url: "http://127.0.0.1:9", query: up, atLeast: 1 } },
      { name: smoke, webhook: { url: "http://127.0.0.1:9" } }]`),
    );
    const equal = log("external.log", simulatedLog({ seed: 2 }));
    const { out, err } = await perch(["judge", "-c", path, "--release", "shop", "--json", equal]);
    expect(err).toBe("perch judge: not replayed, since a log cannot answer them: orders, smoke\n");
    expect(JSON.parse(out).verdict).toBe("pass");
    expect(JSON.parse(out).checks.map(({ name }: { name: string }) => name)).toEqual(["errors", "drift"]);
  });

  it.each([
    ["no log", ["--release", "shop"], "no access log to judge"],
    ["two logs", ["--release", "shop", "a", "b"], 'unexpected argument "b": for several logs, pass - and pipe them in'],
    ["no release", ["a"], "no release: pass --release R"],
    ["an unknown release", ["--release", "shpo", "a"], 'there is no release "shpo"; with one: shop'],
    ["a release without a rollout", ["--release", "plain", "a"], 'release "plain" has no rollout; with one: shop'],
    ["a file that is not there", ["--release", "shop", "/none.log"], "the log cannot be read: ENOENT"],
    ["a folder", ["--release", "shop", "/"], "the log cannot be read: EISDIR"],
    ["an empty log", ["--release", "shop", "/dev/null"], '/dev/null has no requests of release "shop". 0 lines read.'],
  ])("exits with 2 for %s", async (_, args, message) => {
    const { code, out, err } = await perch(["judge", "-c", config, ...args]);
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).toContain(message);
  });
});

describe("simulated logs", () => {
  const broken = { broken: true, requests: 8_000 };
  it.each<[string, Judgement["verdict"], Simulation]>([
    ["equal versions", "pass", { seed: 11 }],
    ["broken clients", "pass", { seed: 12, ...broken }],
    ["broken clients at equal shares", "pass", { seed: 13, ...broken, canary: 0.5 }],
    ["broken clients in a log without odds", "pass", { seed: 14, ...broken, without: ["odds"] }],
    ["users that a rule placed on the canary, where all fails", "pass", { seed: 15, placed: 5 }],
    ["many errors on both", "pass", { seed: 16, errors: { stable: 0.2, canary: 0.2 } }],
    ["a canary that fails less", "pass", { seed: 17, errors: { stable: 0.1, canary: 0.01 } }],
    ["errors from 1 to 10 %", "fail", { seed: 18, errors: { stable: 0.01, canary: 0.1 } }],
    ["the same beside broken clients", "fail", { seed: 19, ...broken, errors: { stable: 0.01, canary: 0.1 } }],
    ["the same without units", "fail", { seed: 20, errors: { stable: 0.01, canary: 0.1 }, without: ["unit"] }],
    ["slow ones from 1 to 8 %", "fail", { seed: 21, canary: 0.2, slow: { stable: 0.01, canary: 0.08 } }],
    ["a dead canary", "fail", { seed: 22, errors: { stable: 0.01, canary: 1 } }],
    ["a dead canary of 1 %", "fail", { seed: 23, canary: 0.01, errors: { stable: 0.01, canary: 1 } }],
    ["too little", "not-enough-data", { seed: 24, requests: 150 }],
  ])("%s: %s", async (name, verdict, simulation) => {
    const { out } = await judge(log(`${name}.log`, simulatedLog(simulation)), "--json");
    expect(JSON.parse(out).verdict).toBe(verdict);
  });
});
