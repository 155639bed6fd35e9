import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { upstream } from "../kit/freed.ts";
import { freePorts, perchOn, renameOver, soon, temporaryFolder } from "../kit/served.ts";
import { Visitor } from "../kit/visitor.ts";
import { readPage } from "./page.ts";
import { configBlocks } from "./yaml-blocks.ts";

const page = readPage("docs/first-canary.md");

function only(blocks: readonly string[], what: string): string {
  const [first, ...more] = blocks;
  if (first === undefined || more.length > 0) throw new Error(`${page.path} should have one ${what}`);
  return first;
}

const yaml = only(configBlocks(page), "configuration");
const shownReport: unknown = JSON.parse(
  only(
    page.blocks.filter(({ language }) => language === "json").map(({ text }) => text),
    "report",
  ),
);

/** The page's Perch, on free ports, with servers of its own in place of the page's two. */
async function playedPerch() {
  const stable = await upstream("stable");
  const canary = await upstream("canary");
  const folder = await temporaryFolder();
  const file = join(folder, "perch.yaml");
  writeFileSync(join(folder, "pins.secret"), "0123456789abcdef0123456789abcdef\n");
  const withoutListener = yaml.replace(/^listeners:\n.*\n/m, "");
  const text =
    freePorts +
    withoutListener.replace("http://127.0.0.1:3000", stable.origin).replace("http://127.0.0.1:3001", canary.origin);
  writeFileSync(file, text);
  const perch = await perchOn(file);
  const report = async () =>
    (await (await perch.admin("/api/releases")).json()) as { releases: { versions: unknown[] }[] };
  /** Writes other weights as the page does, and waits until they are active. */
  const ramp = async (weight: number) => {
    const split = `split: { stable: ${100 - weight}, canary: ${weight} }`;
    await renameOver(file, text.replace("split: { stable: 100, canary: 0 }", split));
    const canaryNow = expect.objectContaining({ version: "canary", configuredShare: weight / 100 });
    await expect.poll(async () => (await report()).releases[0]?.versions, soon).toContainEqual(canaryNow);
  };
  return { perch, ramp, report };
}

/** Names as they are; numbers are another run's. */
const formOf = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(formOf);
  if (typeof value === "number") return "a number";
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, formOf(inner)]));
};

test("the first canary goes as its page says: up the ramp nobody comes back, and back everybody does", {
  tags: ["slow"],
}, async () => {
  const { perch, ramp, report } = await playedPerch();
  const users = Array.from({ length: 120 }, () => new Visitor());
  const visits = () => Promise.all(users.map((user) => user.get(perch.origin)));
  const onCanary = async () => (await visits()).map(({ version }) => version === "canary");

  const [first] = await visits();
  expect(first?.headers).toMatchObject({ "x-perch-version": "stable", "cache-control": "private" });
  expect(first?.setCookie.join()).toMatch(
    /^perch-shop=1\.1\.\d+\.stable\.s\..*; Max-Age=2592000; Path=\/; HttpOnly; SameSite=Lax$/,
  );
  expect((await new Visitor().get(perch.origin, { "x-user-region": "office" })).version).toBe("canary");

  let before = await onCanary();
  expect(before).not.toContain(true);
  for (const weight of [5, 25, 50, 100]) {
    await ramp(weight);
    const now = await onCanary();
    expect(now.filter((there, user) => before[user] === true && !there)).toEqual([]);
    before = now;
  }
  expect(before).not.toContain(false);

  expect(formOf(await report())).toEqual(formOf(shownReport));
  await ramp(0);
  expect(await onCanary()).not.toContain(true);
});
