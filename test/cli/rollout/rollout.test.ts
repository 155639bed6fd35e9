import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, test } from "vitest";
import { adminOf, bearer, MemoryRollouts } from "../../admin/memory-rollouts.ts";
import { freeAfterTest } from "../../kit/freed.ts";
import { perch, temporaryFolder } from "../captured-terminal.ts";

const write = temporaryFolder();
const tokenFile = write("token", `${bearer.authorization.slice(7)}\nanother\n`);

async function admin(change: (rollouts: MemoryRollouts) => void = () => {}) {
  const rollouts = new MemoryRollouts();
  change(rollouts);
  const { server, audited } = adminOf(rollouts);
  await server.listen({ host: "127.0.0.1", port: 0 });
  freeAfterTest(() => server.close());
  const origin = `http://127.0.0.1:${(server.server.address() as AddressInfo).port}`;
  const run = (args: readonly string[], env: Readonly<Record<string, string>> = {}) =>
    perch(["rollout", ...args], { PERCH_ADMIN: origin, ...env });
  return { rollouts, audited, origin, run };
}

const widest = (text: string) => Math.max(...text.split("\n").map(({ length }) => length));

describe("perch rollout status", () => {
  test("shows where each rollout stands", async () => {
    const { run } = await admin();
    const { code, out, err } = await run(["status"]);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toBe(`shop 2.4.0: stable to canary, progressing since 1970-01-01 00:00:00Z, revision 7
  Step 2 of 3: 10 % for 4 more minutes; no check fails.

       step   held       needs
  [x]  1 %    5m
  [>]  10 %   6m of 10m  500 users
  [ ]  pause

  version  users  bad  this step  answers  failed  placed
  stable      90    1         80       91       1      91
  canary      10    0          9       10       0      10

  check   verdict          evidence
  errors  not-enough-data  0.5 of 400
      1 of 100 users met an error

shop: split set to stable 1 until 1970-01-01 00:00:00Z, by x
`);
  });

  test("is at most 80 columns wide, whatever is in it", async () => {
    const long = "错误".repeat(100);
    const { run } = await admin((rollouts) => {
      const { status } = rollouts;
      const checks = status.checks.map((check) => ({ ...check, name: long, why: long, evidence: 1e300 }));
      const steps = status.steps.map((step) => ({ ...step, title: long }));
      rollouts.status = {
        ...status,
        sentence: long,
        stateProblem: "no space ".repeat(30),
        baseline: long,
        checks,
        steps,
      };
    });
    const { out } = await run(["status", "shop"]);
    expect(widest(out.replaceAll(/[错误]/g, "xx"))).toBeLessThanOrEqual(80);
    expect(out).toContain("State: no space");
  });

  test("prints the API's answer with --json", async () => {
    const { run } = await admin();
    expect(JSON.parse((await run(["status", "--json"])).out)).toMatchObject({
      revision: 7,
      rollouts: [{ id: "2.4.0" }],
    });
    expect(JSON.parse((await run(["status", "shop", "--json"])).out)).toMatchObject({ id: "2.4.0" });
  });

  test("shows controls in what others wrote as escapes (CWE-150)", async () => {
    const hostile = "\u001b]0;owned\u0007 \u009b2J \u202e \r\nfake line";
    const { run } = await admin((rollouts) => {
      const { status } = rollouts;
      const checks = status.checks.map((check) => ({ ...check, name: hostile, why: hostile }));
      const steps = status.steps.map((step) => ({ ...step, title: hostile }));
      rollouts.status = {
        ...status,
        id: hostile,
        sentence: hostile,
        candidate: hostile,
        stateProblem: hostile,
        checks,
        steps,
      };
      rollouts.splits = () => [{ release: "shop", split: { [hostile]: 1 }, untilMs: null, by: hostile, why: hostile }];
    });
    for (const args of [["status"], ["status", "shop"], ["status", "--json"], ["status", hostile]]) {
      const { out, err } = await run(args);
      expect((out + err).replaceAll("\n", "")).not.toMatch(/[\p{Cc}\p{Bidi_Control}]/u);
      expect(out + err).not.toMatch(/^fake/m);
    }
  });
});

describe("a verb of perch rollout", () => {
  test("changes with a token, and says who and why", async () => {
    const { run, audited } = await admin();
    const asked = ["pause", "shop", "--why", "lunch", "--token-file", tokenFile];
    const { code, out } = await run(asked, { USER: "alice" });
    expect([code, out.split("\n")[0]]).toEqual([
      0,
      "shop 2.4.0: stable to canary, paused since 1970-01-01 00:00:00Z, revision 8",
    ]);
    expect(audited).toMatchObject([{ who: expect.stringContaining("(alice)"), why: "lunch", outcome: "done" }]);
    expect((await run(asked, { USER: "a b" })).out).toMatch(/^Nothing to change\.\nshop/);
    expect(audited[1]?.who).not.toContain("(");
    expect((await run([...asked, "--by", "bob"], { USER: "alice" })).code).toBe(0);
    expect(audited[2]?.who).toContain("(bob)");
  });

  test.each([
    { args: ["pause", "shop"], says: /: A change needs a token.* Pass a file with a token .* --token-file/ },
    {
      args: ["pause", "blog", "--token-file", tokenFile],
      says: /: release blog has none\. perch rollout status lists/,
    },
    { args: ["promote", "shop", "--token-file", tokenFile], says: /: Not now\./ },
    {
      args: ["step", "shop", "--if-revision", "6", "--token-file", tokenFile],
      says: /: The revision is 7\. Look at the status, then try again with the new revision\./,
    },
    {
      args: ["pause", "shop", "--why", "a\nb", "--token-file", tokenFile],
      says: /: The request is malformed\. body\/why/,
    },
    { args: ["status", "blog"], says: /: Release blog has no rollout\./ },
    { args: ["status", "--watch", "blog"], says: /: release blog has no rollout/ },
    {
      args: ["status", "--admin", "http://127.0.0.1:9"],
      says: /: no admin server answers at http:\/\/127\.0\.0\.1:9: .* Else pass --admin URL/,
    },
    { args: ["status", "--watch", "--admin", "http://127.0.0.1:9"], says: /: no admin server answers/ },
    {
      args: ["pause", "shop", "--token-file", "/nowhere"],
      says: /: the token file \/nowhere cannot be read \(ENOENT\)/,
    },
    {
      args: ["pause", "shop", "--token-file", write("empty", "\n")],
      says: /: the first line of .*empty is not a token/,
    },
  ])("$args fails and says why", async ({ args, says }) => {
    const { run, rollouts } = await admin();
    const { code, out, err } = await run(args);
    expect({ code, out }).toEqual({ code: 1, out: "" });
    expect(err).toMatch(says);
    expect(err.trim().split("\n").length).toBe(1);
    expect(rollouts.changes).toEqual([]);
  });

  test.each([
    [[]],
    [["explode", "shop"]],
    [["pause"]],
    [["pause", "shop", "shop"]],
    [["pause", "shop", "--watch"]],
    [["status", "--why", "x"]],
    [["step", "shop", "--if-revision", "x"]],
    [["status", "--admin", "nowhere"]],
    [["status", "--admin", "file:///etc/passwd"]],
  ])("%j is wrong usage", async (args) => {
    expect(await perch(["rollout", ...args])).toMatchObject({ code: 2, out: "" });
  });

  test("of something that is not Perch says so", async () => {
    const other: Server = createServer((_request, response) => response.end("<html>")).listen(0, "127.0.0.1");
    freeAfterTest(async () => void other.close());
    await new Promise((resolve) => other.once("listening", resolve));
    const origin = `http://127.0.0.1:${(other.address() as AddressInfo).port}`;
    const { code, err } = await perch(["rollout", "status", "--admin", origin]);
    expect([code, err]).toEqual([1, `perch rollout: the server at ${origin} is not Perch's admin server\n`]);
  });
});
