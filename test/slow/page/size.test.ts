import type { Page } from "playwright-core";
import { request } from "undici";
import { describe, expect, test } from "vitest";
import { chromiumIsMissing, closeBrowserAfterAll, openPage, skippedWithoutChromium } from "../../kit/browser.ts";
import { startDemo } from "../../kit/demo-stage.ts";
import { freeAfterTest, perch, upstream } from "../../kit/freed.ts";

closeBrowserAfterAll();

const limitBytes = 100 * 1024;
/** The aim is 200 ms on a quiet machine; this one also runs everything else. */
const paintLimitMs = 1_000;
const longestTaskMs = 500;

const rules = 1_000;
const versions = 200;
const releases = 50;

const times = <T>(count: number, of: (at: number) => T): readonly T[] =>
  Array.from({ length: count }, (_, at) => of(at));

/** One release with as many rules and versions as anybody has, and many small ones with rollouts. */
function largeConfig(origin: string): string {
  const endpoints = `endpoints: ["${origin}"]`;
  return `attributes:
  region: { type: string, from: [{ header: x-user-region }] }
services:
  wide: { default: v0, versions: { ${times(versions, (at) => `v${at}: { ${endpoints} }`).join(", ")} } }
  shop: { default: stable, versions: { stable: { ${endpoints} }, canary: { ${endpoints} } } }
releases:
  wide:
    rules:
${times(rules, (at) => `      - { name: rule-${at}, when: { region: region-${at} }, use: v${at % versions} }\n`).join("")}    split: { ${times(versions, (at) => `v${at}: 1`).join(", ")} }
${times(
  releases,
  (at) =>
    `  small-${at}: { split: { stable: 100 }, rollout: { id: "1", candidate: canary, steps: [{ weight: 10, hold: 1h }], checks: [{ name: errors, metric: errors }] } }\n`,
).join("")}routes:
${times(releases, (at) => `  - { name: small-${at}, match: { path: { prefix: /small-${at}/ } }, service: shop, release: small-${at} }\n`).join("")}  - { name: wide, service: wide, release: wide }
`;
}

/** Requests to everything, until the test ends: one after the other, as fast as they are answered. */
function load(origin: string): void {
  let isOver = false;
  let sent = 0;
  const one = async () => {
    while (!isOver) {
      const at = sent++;
      const path = at % 3 === 0 ? "/" : `/small-${at % releases}/`;
      const answer = await request(origin + path, { headers: { "x-user-region": `region-${at % (2 * rules)}` } });
      await answer.body.dump();
    }
  };
  const running = Promise.all([one(), one()]);
  freeAfterTest(async () => {
    isOver = true;
    await running;
  });
}

/** From now on: the page notes how long each task of more than 50 ms took. */
async function watchTasks(page: Page): Promise<() => Promise<number>> {
  await page.evaluate(() => {
    const tasks: number[] = [];
    Object.assign(globalThis, { tasks });
    new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) tasks.push(duration);
    }).observe({ type: "longtask" });
  });
  return () => page.evaluate(() => Math.max(0, ...(globalThis as unknown as { readonly tasks: number[] }).tasks));
}

describe.skipIf(chromiumIsMissing)(`the dashboard's size${skippedWithoutChromium}`, () => {
  test("it loads less than 100 KiB from its own server alone, and paints at once", async () => {
    const stage = await startDemo({ users: 20 });
    const { page } = await openPage("about:blank");
    const files = new Set<string>();
    const origins = new Set<string>();
    page.on("request", (asked) => {
      if (asked.url().startsWith("data:")) return;
      origins.add(new URL(asked.url()).origin);
      if (["document", "stylesheet", "script", "font", "image"].includes(asked.resourceType())) files.add(asked.url());
    });
    await page.goto(stage.adminOrigin);
    for (const name of ["shop", "Explain", "Plan", "Live decisions", "Events"]) {
      await page.getByRole("link", { name, exact: true }).first().click();
      await page.getByRole("heading", { level: 1 }).waitFor();
    }
    expect([...origins]).toEqual([stage.adminOrigin]);
    expect(files.size).toBeGreaterThanOrEqual(3);
    let bytes = 0;
    for (const url of files) {
      const headers = { "accept-encoding": "gzip", accept: "text/html,*/*" };
      const { headers: got, body } = await request(url.replace(/#.*/, ""), { headers });
      expect(got["content-encoding"]).toBe("gzip");
      bytes += Number(got["content-length"]);
      await body.dump();
    }
    expect(bytes).toBeLessThan(limitBytes);

    await page.goto("about:blank");
    await page.goto(stage.adminOrigin);
    await page.getByRole("link", { name: "shop" }).waitFor();
    const paintMs = await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime);
    console.log(`${bytes} bytes, gzipped; first contentful paint after ${paintMs} ms`);
    expect(paintMs).toBeLessThan(paintLimitMs);
  });

  test("many rules, versions and releases under load do not freeze it", async () => {
    const shop = await upstream("shop");
    const running = await perch(largeConfig(shop.origin));
    load(running.origin);
    const { page } = await openPage(`${running.adminOrigin}/#/release/wide`);
    await page.getByRole("row", { name: /^rule-0/ }).waitFor();
    const longest = await watchTasks(page);
    const answeredMs: number[] = [];
    const endMs = performance.now() + 10_000;
    const ways = [
      ["Overview", "small-49"],
      ["small-49", "small-49"],
      ["Overview", "small-49"],
      ["wide", "wide"],
    ] as const;
    const heading = page.getByRole("heading", { level: 1 });
    while (performance.now() < endMs) {
      for (const [link, wanted] of ways) {
        const clickedMs = performance.now();
        await page.getByRole("link", { name: link, exact: true }).first().click();
        if (link === "Overview") await page.getByRole("link", { name: wanted, exact: true }).waitFor();
        else await heading.filter({ hasText: wanted }).waitFor();
        answeredMs.push(performance.now() - clickedMs);
      }
    }
    await page.getByRole("button", { name: "Show all 1,000" }).first().click();
    await page.getByRole("row", { name: /^rule-999/ }).waitFor();
    const fewer = page.getByRole("button", { name: "Show the first 100 only" });
    expect(await fewer.evaluate((element) => element === document.activeElement)).toBe(true);
    const slowestMs = Math.max(...answeredMs);
    console.log(
      `longest task ${await longest()} ms; slowest of ${answeredMs.length} answers to a click ${slowestMs} ms`,
    );
    expect(await longest()).toBeLessThan(longestTaskMs);
    expect(slowestMs).toBeLessThan(5_000);
  });
});
