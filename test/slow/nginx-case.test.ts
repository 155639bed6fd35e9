import { mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { Agent } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { freeAfterTest, upstream } from "../kit/freed.ts";
import { PerchProcess } from "../kit/process.ts";
import { eachAtOnce, User } from "../kit/user.ts";

const userCount = 10_000;
const rounds = 5;
const atOnce = 64;

/** One in twenty users meets the rule; two in twenty meet half of it. */
const newInTheEast = { "x-user-region": "cn-east", "x-user-registered-at": "2026-03-01" };
const oldInTheEast = { "x-user-region": "cn-east", "x-user-registered-at": "2025-03-01" };
const newElsewhere = { "x-user-region": "cn-south", "x-user-registered-at": "2026-03-01" };

interface Member {
  readonly user: User;
  readonly byRule: boolean;
  version: string | undefined;
}

/** `times` requests of every user; changes of version since, and the canary's share. */
async function visit(members: readonly Member[], origin: string, agent: Agent, times: number) {
  const seen = { flips: 0, failures: 0, moves: new Map<string, number>() };
  for (let round = 0; round < times; round++) {
    await eachAtOnce(members, atOnce, async (member) => {
      const { status, version } = await member.user.get(origin, agent);
      if (status !== 200) seen.failures++;
      if (member.version !== undefined && member.version !== version) {
        seen.flips++;
        const move = `${member.version} → ${version}`;
        seen.moves.set(move, (seen.moves.get(move) ?? 0) + 1);
      }
      member.version = version;
    });
  }
  const drawn = members.filter(({ byRule }) => !byRule);
  const share = drawn.filter(({ version }) => version === "canary").length / drawn.length;
  return { ...seen, share, drawn: drawn.length };
}

/** Four standard deviations of a binomial share: a fair draw exceeds them once in 16,000 runs. */
const bound = (share: number, count: number) => 4 * Math.sqrt((share * (1 - share)) / count);

it("nginx 1.7.9 and 1.8.0: rules, a steady split, a ramp that moves one way, a rollback that reaches everyone", async () => {
  const stable = await upstream("stable", (_request, response) =>
    response.writeHead(200, { "x-version": "stable" }).end(),
  );
  const canary = await upstream("canary", (_request, response) =>
    response.writeHead(200, { "x-version": "canary" }).end(),
  );
  const folder = await mkdtemp(join(tmpdir(), "perch-nginx-"));
  freeAfterTest(() => rm(folder, { recursive: true }));
  const file = join(folder, "perch.yaml");
  const policy = (await readFile(new URL("../../config/nginx.yaml", import.meta.url), "utf8"))
    .replace("http://nginx-stable:80", stable.origin)
    .replace("http://nginx-canary:80", canary.origin);
  const write = async (split: string) => {
    const text = policy.replace("split: { stable: 75, canary: 25 }", `split: ${split}`);
    await writeFile(
      `${file}.new`,
      `listeners: [{ name: web, address: "127.0.0.1:0" }]\nadmin: { address: "127.0.0.1:0" }\n${text}`,
    );
    await rename(`${file}.new`, file);
  };
  await write("{ stable: 75, canary: 25 }");

  const perch = new PerchProcess(["serve", "-c", file]);
  freeAfterTest(() => perch.stop());
  const { origin, admin } = await perch.serving();
  const agent = new Agent({ keepAlive: true, maxSockets: atOnce });
  freeAfterTest(async () => agent.destroy());
  const configHash = async () => {
    const { active } = (await (await fetch(`${admin}/api/config`)).json()) as { active: { hash: string } };
    return active.hash;
  };
  const edit = async (split: string) => {
    const before = await configHash();
    await write(split);
    await expect.poll(configHash, { timeout: 10_000 }).not.toBe(before);
  };

  const members: Member[] = Array.from({ length: userCount }, (_, i) => {
    const named = i % 2 === 0 ? { "x-user-id": `user-${i}` } : {};
    const about = [newInTheEast, oldInTheEast, newElsewhere][i % 20] ?? {};
    return { user: new User({ ...named, ...about }), byRule: about === newInTheEast, version: undefined };
  });

  const start = await visit(members, origin, agent, rounds);
  expect(start).toMatchObject({ flips: 0, failures: 0 });
  expect(Math.abs(start.share - 0.25)).toBeLessThan(bound(0.25, start.drawn));
  const ruled = members.filter(({ byRule }) => byRule);
  expect(ruled.length).toBe(userCount / 20);
  expect(ruled.every(({ version }) => version === "canary")).toBe(true);

  await edit("{ stable: 50, canary: 50 }");
  const ramp = await visit(members, origin, agent, rounds);
  expect(ramp.failures).toBe(0);
  expect([...ramp.moves.keys()]).toEqual(["stable → canary"]);
  expect(ramp.flips / ramp.drawn).toBeCloseTo(ramp.share - start.share, 10);
  expect(Math.abs(ramp.share - 0.5)).toBeLessThan(bound(0.5, ramp.drawn));
  expect(ruled.every(({ version }) => version === "canary")).toBe(true);

  await edit("{ stable: 100, canary: 0 }");
  const rollback = await visit(members, origin, agent, 1);
  expect(rollback).toMatchObject({ failures: 0, share: 0 });
  expect([...rollback.moves.keys()]).toEqual(["canary → stable"]);
  expect(ruled.every(({ version }) => version === "canary")).toBe(true);

  const percent = (share: number) => `${(share * 100).toFixed(2)} %`;
  console.info(
    `75/25: ${percent(start.share)} of ${start.drawn} users on canary, ${start.flips} flips in ${userCount * rounds} requests; ` +
      `50/50: ${percent(ramp.share)}, ${ramp.flips} users moved to canary, none back; ` +
      `100/0: ${percent(rollback.share)} after one request each`,
  );
});
