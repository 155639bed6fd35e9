import type { BrowserContextOptions, Page } from "playwright-core";
import { describe, expect, test } from "vitest";
import type { Stage } from "../../../src/cli/demo/stage.ts";
import {
  accessibilityProblems,
  chromiumIsMissing,
  closeBrowserAfterAll,
  openPage,
  shown,
  skippedWithoutChromium,
} from "../../kit/browser.ts";
import { startDemo } from "../../kit/demo-stage.ts";

closeBrowserAfterAll();

const config = `listeners: [{ name: web, address: "127.0.0.1:0" }]
services:
  shop: { versions: { stable: { endpoints: ["http://127.0.0.1:1"] }, canary: { endpoints: ["http://127.0.0.1:2"] } } }
releases: { shop: { split: { stable: 50, canary: 50 } } }
routes: [{ name: shop, service: shop, release: shop }]
`;

const answer = (page: Page) => page.getByRole("main").getByRole("heading", { level: 2 }).first();

async function inquire(page: Page, text: string): Promise<void> {
  const field = page.getByRole("main").getByRole("textbox").first();
  await field.fill(text);
  await field.press("Control+Enter");
  await answer(page).waitFor();
}

/** What can be seen, in any language; each begins on a page that has been left. */
const states: readonly (readonly [name: string, hash: string, prepare: (page: Page) => Promise<unknown>])[] = [
  ["overview", "#/", (page) => page.getByRole("main").getByRole("link", { name: "shop" }).waitFor()],
  ["release", "#/release/shop", (page) => page.getByRole("main").locator("canvas").first().waitFor()],
  ["unknown release", "#/release/nothing", (page) => page.getByRole("heading", { name: "nothing" }).waitFor()],
  ["explain", "#/explain", async () => {}],
  [
    "explain, answered",
    "#/explain",
    (page) => inquire(page, "curl http://shop.example/cart -H 'x-user-region: cn-east'"),
  ],
  ["plan", "#/plan", async () => {}],
  ["plan, with errors", "#/plan", (page) => inquire(page, config.replace("service: shop", "service: shoop"))],
  ["plan, with who moves", "#/plan", (page) => inquire(page, config)],
  ["decisions", "#/decisions", (page) => page.getByRole("row").nth(5).waitFor()],
  ["events", "#/events", (page) => page.getByRole("main").getByRole("listitem").first().waitFor()],
];

async function show(page: Page, hash: string, prepare: (page: Page) => Promise<unknown>): Promise<void> {
  await page.evaluate(() => {
    location.hash = "#/leave";
  });
  await page.evaluate((to) => {
    location.hash = to;
  }, hash);
  await page.getByRole("heading", { level: 1 }).waitFor();
  await prepare(page);
}

const sizes = [
  { width: 3840, height: 2160 },
  { width: 360, height: 740 },
  { width: 1280, height: 900 },
] as const;

/** The last size stays. */
async function problemsOf(page: Page, name: string): Promise<readonly string[]> {
  const found: string[] = [];
  const headings = await page.getByRole("heading", { level: 1 }).count();
  if (headings !== 1) found.push(`${name}: ${headings} headings of level 1`);
  for (const size of sizes) {
    await page.setViewportSize(size);
    const where = `${name} at ${size.width}`;
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    if (width > size.width) found.push(`${where}: scrolls sideways, being ${width} wide`);
    if (size.width > 2_000) continue;
    found.push(...(await accessibilityProblems(page)).map((problem) => `${where}: ${problem}`));
  }
  return found;
}

async function dialogProblems(page: Page, stage: Stage): Promise<readonly string[]> {
  const problems: string[] = [];
  const rollback = page.getByRole("main").getByRole("group").first().getByRole("button").last();
  const dialog = page.getByRole("dialog");
  await rollback.click();
  await dialog.getByRole("textbox").or(dialog.locator("input[type=password]")).first().waitFor();
  problems.push(...(await problemsOf(page, "signing in")));
  await dialog.locator("input[type=password]").fill(stage.adminToken);
  await page.keyboard.press("Enter");
  await dialog.getByRole("textbox").nth(1).waitFor();
  problems.push(...(await problemsOf(page, "dialog")));
  await dialog.getByRole("textbox").first().fill("a test");
  await page.keyboard.press("Enter");
  await dialog.waitFor({ state: "detached" });
  return problems;
}

const looks: readonly (readonly [string, BrowserContextOptions])[] = [
  ["light", { colorScheme: "light" }],
  ["dark", { colorScheme: "dark" }],
  ["Chinese, light", { colorScheme: "light", locale: "zh-CN" }],
  ["Chinese, dark", { colorScheme: "dark", locale: "zh-CN" }],
];

describe.skipIf(chromiumIsMissing)(
  `every page is accessible and never wider than the window${skippedWithoutChromium}`,
  () => {
    test.each(looks)("%s", async (_name, options) => {
      const stage = await startDemo({ users: 60 });
      const { page } = await openPage(stage.adminOrigin, options);
      await expect.poll(() => stage.rollouts.of("shop")?.users.candidate.users, shown).toBeGreaterThan(0);
      const problems: string[] = [];
      for (const [name, hash, prepare] of states) {
        await show(page, hash, prepare);
        problems.push(...(await problemsOf(page, name)));
      }
      await show(page, "#/release/shop", async () => {});
      problems.push(...(await dialogProblems(page, stage)));
      expect(stage.rollouts.of("shop")?.phase).toBe("rolled-back");
      problems.push(...(await problemsOf(page, "release, rolled back")));
      await show(page, "#/", async () => {});
      problems.push(...(await problemsOf(page, "overview, rolled back")));
      expect(problems).toEqual([]);
    });
  },
);
