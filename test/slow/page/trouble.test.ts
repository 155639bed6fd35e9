import type { Page } from "playwright-core";
import { describe, expect, test } from "vitest";
import {
  accessibilityProblems,
  badge,
  chromiumIsMissing,
  closeBrowserAfterAll,
  openPage,
  shown,
  skippedWithoutChromium,
} from "../../kit/browser.ts";
import { changeableDashboard } from "../../kit/changeable-dashboard.ts";
import { upstream } from "../../kit/freed.ts";
import { perchProcess, renameOver, temporaryFolder } from "../../kit/served.ts";
import { freePort } from "../../kit/upstream.ts";

closeBrowserAfterAll();

const status = (page: Page, text: string) => page.getByRole("banner").getByRole("status").filter({ hasText: text });
const alerts = (page: Page, text: string) => page.getByRole("alert").filter({ hasText: text });

/** Perch as a program on ports that stay the same when it is started again. */
async function restartable() {
  const shop = await upstream("shop");
  const [web, admin] = [await freePort(), await freePort()];
  const file = `${await temporaryFolder()}/perch.yaml`;
  await renameOver(
    file,
    `listeners: [{ name: web, address: "127.0.0.1:${web}" }]
admin: { address: "127.0.0.1:${admin}" }
attributes: { region: { type: string, from: [{ header: x-user-region }] } }
services:
  shop: { versions: { stable: { endpoints: ["${shop.origin}"] }, canary: { endpoints: ["${shop.origin}"] } } }
releases:
  shop: { rules: [{ name: east, when: { region: cn-east }, use: canary }], split: { stable: 100 } }
routes: [{ name: shop, service: shop, release: shop }]
`,
  );
  return {
    adminOrigin: `http://127.0.0.1:${admin}`,
    async start() {
      const started = perchProcess(["serve", "-c", file]);
      await started.serving();
      return started;
    },
    async visit(times: number) {
      for (let at = 0; at < times; at++) {
        await (await fetch(`http://127.0.0.1:${web}/`, { headers: { "x-user-region": "cn-east" } })).text();
      }
    },
  };
}

describe.skipIf(chromiumIsMissing)(`the dashboard in trouble${skippedWithoutChromium}`, () => {
  test("a server that is killed is seen as gone, and its successor's figures take the place of the old ones", async () => {
    const { adminOrigin, start, visit } = await restartable();
    const first = await start();
    const { page, forgiveLostConnections } = await openPage(`${adminOrigin}/#/release/shop`);
    forgiveLostConnections();
    const hits = page.getByRole("row", { name: /^east/ }).getByRole("cell").nth(1);
    await visit(37);
    await expect.poll(() => hits.textContent(), shown).toBe("37");
    expect(await alerts(page, "").count()).toBe(0);

    // What a reader may have seen: each pair of the connection's word and the figure that was ever shown together.
    await page.evaluate(() => {
      const seen = new Set<string>();
      Object.assign(globalThis, { seen });
      const look = () => {
        const word = document.querySelector("header [role=status]")?.textContent?.trim();
        const figure = document.querySelector("table.rules tbody td:nth-of-type(2)")?.textContent;
        const isMarked = document.querySelector("[role=alert]") !== null;
        seen.add(`${word} ${figure}${isMarked ? " marked" : ""}`);
      };
      look();
      new MutationObserver(look).observe(document.body, { subtree: true, childList: true, characterData: true });
    });
    await first.stop();
    await status(page, "Disconnected").waitFor();
    await alerts(page, "Connection to Perch lost").waitFor();
    await alerts(page, "This page shows data as of").waitFor();
    const pause = page.getByRole("button", { name: "Pause", exact: true });
    expect(await pause.getAttribute("title")).toMatch(/^This page is disconnected/);
    const opacity = () => page.getByRole("main").evaluate((main) => Number(getComputedStyle(main).opacity));
    expect(await opacity()).toBeLessThan(1);
    expect(await hits.textContent()).toBe("37");
    expect(await accessibilityProblems(page)).toEqual([]);
    await page.evaluate(() => (globalThis as unknown as { readonly seen: Set<string> }).seen.clear());

    await start();
    await status(page, "Live").waitFor();
    await expect.poll(() => hits.textContent(), shown).toBe("0");
    await alerts(page, "").waitFor({ state: "detached" });
    await visit(3);
    await expect.poll(() => hits.textContent(), shown).toBe("3");
    expect(await opacity()).toBe(1);
    const seen = await page.evaluate(() => [...(globalThis as unknown as { readonly seen: Set<string> }).seen]);
    expect(seen).toContain("Live 3");
    expect(seen.filter((pair) => /^Live .*37|^\w+… 37$/.test(pair))).toEqual([]);
  });

  test("a configuration that is rejected is told with its place, until it is repaired", async () => {
    const { perch, file, text, change } = await changeableDashboard();
    const { page } = await openPage(perch.adminOrigin);
    await status(page, "Live").waitFor();
    await renameOver(file, text.replace("service: shop, release", "service: shoop, release"));
    const rejected = alerts(page, "was rejected. The previous configuration stays active.");
    await rejected.waitFor();
    await rejected.getByText("Show problem").click();
    const problem = await rejected.getByLabel("Show problem").last().inputValue();
    expect(problem).toMatch(/perch\.yaml:\d+:\d+: error: .*shoop/);
    expect(problem).toMatch(/^ +\| +\^+/m);
    await page.getByRole("link", { name: "Events" }).click();
    await badge(page.getByRole("main"), "The last change was rejected").waitFor();
    expect(await page.getByLabel("Problem and location").inputValue()).toBe(problem);

    await change(`${text}# repaired\n`);
    await rejected.waitFor({ state: "detached" });
    await page.getByText("The last load succeeded.").waitFor();
    const rows = page.getByRole("main").getByRole("listitem");
    await rows.filter({ hasText: "configuration reloaded" }).first().waitFor();
    await rows.filter({ hasText: "rejected" }).first().waitFor();
  });

  test("an endpoint that goes down appears with the reason", async () => {
    const { perch, canary } = await changeableDashboard({ release: "    split: { stable: 0, canary: 100 }\n" });
    const { page } = await openPage(perch.adminOrigin);
    await status(page, "Live").waitFor();
    await canary.close();
    const card = page
      .getByRole("main")
      .getByRole("listitem")
      .filter({ has: page.getByRole("link", { name: "shop" }) });
    const isTold = async () => {
      await (await fetch(perch.origin)).text();
      return (await badge(card, "1 endpoint unhealthy: canary").count()) > 0;
    };
    await expect.poll(isTold, shown).toBe(true);
    await card.getByRole("link", { name: "shop" }).click();
    const endpoint = page.getByRole("main").getByRole("listitem").filter({ hasText: canary.origin });
    await endpoint.getByText(/^\S (Refused|Ejected|Failing)$/).waitFor();
    await page.getByRole("link", { name: "Events" }).click();
    await page.getByRole("main").getByText(`endpoint ${canary.origin} of shop/canary is`).first().waitFor();
  });

  test("a history that fails is asked for again", async () => {
    const { perch } = await changeableDashboard();
    const { page, forgiveLostConnections } = await openPage(perch.adminOrigin);
    forgiveLostConnections();
    let fails = true;
    await page.route("**/api/history/shop", (route) => (fails ? route.abort() : route.continue()));
    await page.getByRole("main").getByRole("link", { name: "shop" }).click();
    const problem = page.getByText("The history could not be loaded");
    await problem.waitFor();
    fails = false;
    await problem.waitFor({ state: "detached" });
  });

  test("a browser that forbids storage shows the page, too", async () => {
    const { perch } = await changeableDashboard();
    const { page } = await openPage("about:blank");
    await page.addInitScript(() => {
      Object.defineProperty(globalThis, "localStorage", {
        get: () => {
          throw new DOMException("The operation is insecure.", "SecurityError");
        },
      });
    });
    await page.goto(perch.adminOrigin);
    await status(page, "Live").waitFor();
    await page.getByRole("button", { name: "切换到中文" }).click();
    await page.getByRole("heading", { level: 1, name: "概览" }).waitFor();
  });
});
