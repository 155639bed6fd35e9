/** @module-tag slow */
import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, test } from "vitest";
import type { Terminal } from "../../../src/cli/command.ts";
import { demo } from "../../../src/cli/demo.ts";
import { runCommand } from "../../../src/cli/run.ts";

/** A terminal that records its output. */
function recorder() {
  const written = { out: "", err: "" };
  const terminal: Terminal = {
    out: (text) => {
      written.out += text;
    },
    err: (text) => {
      written.err += text;
    },
    env: {},
    isInteractive: false,
  };
  return { terminal, written };
}

describe("perch demo --once", () => {
  test.each([
    { weight: 25, args: [] },
    { weight: 0, args: ["--weight", "0"] },
    { weight: 50, args: ["--weight", "50"] },
    { weight: 100, args: ["--weight", "100"] },
  ])("serves every user the right version with $weight % on canary", async ({ weight, args }) => {
    const { terminal, written } = recorder();
    const code = await runCommand(["demo", "--once", "--json", "--users", "100", ...args], terminal);
    const result = JSON.parse(written.out);
    expect(result).toMatchObject({
      ok: true,
      problems: [],
      z: 4,
      users: 100,
      drawnUsers: 90,
      requests: 500,
      errors: 0,
      flips: 0,
      versions: [
        { version: "stable", configuredShare: (100 - weight) / 100 },
        { version: "canary", configuredShare: weight / 100 },
      ],
      rule: { name: "new-users-in-the-east", users: 10, elsewhere: 0 },
    });
    expect({ code, err: written.err }).toEqual({ code: 0, err: "" });
  });

  test("--break-canary: finds the broken canary, rolls it back, and ends with why", async () => {
    const { terminal, written } = recorder();
    const code = await runCommand(["demo", "--break-canary", "--once", "--json"], terminal);
    const result = JSON.parse(written.out);
    expect(result).toEqual({
      phase: "rolled-back",
      why: expect.stringMatching(/canary/),
      badUsers: expect.any(Number),
      afterRollback: 0,
    });
    // Those that the rollout drew, and those that the rule placed meanwhile.
    expect(result.badUsers).toBeLessThan(25);
    expect({ code, err: written.err }).toEqual({ code: 0, err: "" });
  });

  test("prints the table and the bound without --json", async () => {
    const { terminal, written } = recorder();
    const code = await demo.run({ options: { once: true, users: "50" }, positionals: [] }, terminal);
    expect(written.out).toMatch(
      /^version +configured +observed +users +requests +errors +p95\nstable 1\.7\.9 +75\.0 %/,
    );
    expect(written.out).toContain("within the statistical bound (binomial, z = 4)");
    expect(code).toBe(0);
  });

  test.each([
    { args: ["--json"], message: "--json needs --once" },
    { args: ["--weight", "101"], message: '--weight "101" is not a number from 0 to 100' },
    { args: ["--weight", ""], message: '--weight "" is not a number from 0 to 100' },
    { args: ["--users", "0"], message: '--users "0" is not a whole number from 1 to 100000' },
    { args: ["--users", "2.5"], message: '--users "2.5" is not a whole number from 1 to 100000' },
    { args: ["--weight", "5", "--break-canary"], message: "--weight and --break-canary cannot be used together" },
    { args: ["now"], message: 'unexpected argument "now"' },
  ])("rejects $args", async ({ args, message }) => {
    const { terminal, written } = recorder();
    expect(await runCommand(["demo", ...args], terminal)).toBe(2);
    expect(written.err).toBe(`perch demo: ${message}\nSee perch demo --help.\n`);
  });
});

describe("perch demo", () => {
  const children: ChildProcess[] = [];
  afterEach(() => {
    for (const child of children.splice(0)) child.kill("SIGKILL");
  });

  test("serves the requests that it suggests, and ends on a signal with a summary", async () => {
    const main = fileURLToPath(new URL("../../../src/cli/main.ts", import.meta.url));
    const child = spawn(process.execPath, [main, "demo", "--users", "40"], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, npm_lifecycle_event: "start" },
    });
    children.push(child);
    const written = { out: "", err: "" };
    child.stdout.on("data", (chunk) => (written.out += chunk));
    const introduced = Promise.withResolvers<void>();
    child.stderr.on("data", (chunk) => {
      written.err += chunk;
      if (written.err.includes("the rule matches")) introduced.resolve();
    });
    await introduced.promise;
    const origin = /proxy +(\S+)/.exec(written.err)?.[1] ?? "";
    const metrics = /metrics +(\S+)/.exec(written.err)?.[1] ?? "";
    const headers = { "x-user-region": "cn-east", "x-user-registered-at": "2026-03-01" };
    expect(await (await fetch(origin, { headers })).text()).toBe("Hello from canary 1.8.0\n");
    expect(await (await fetch(metrics)).text()).toContain("perch_requests_total");
    const ended = Promise.withResolvers<number | null>();
    child.on("close", (code) => ended.resolve(code));
    child.kill("SIGINT");
    // npm forwards the signal that the terminal has already sent.
    child.kill("SIGINT");
    expect(await ended.promise).toBe(0);
    expect(written.out).toMatch(
      /^version +weight[\s\S]+shop 1\.8\.0: stable to canary, progressing[\s\S]+who went back to stable: 0\n/,
    );
  });
});
