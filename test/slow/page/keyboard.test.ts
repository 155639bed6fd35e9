import type { Page } from "playwright-core";
import { describe, expect, test } from "vitest";
import { chromiumIsMissing, closeBrowserAfterAll, openPage, skippedWithoutChromium } from "../../kit/browser.ts";
import { changeableDashboard, firstToken, longRollout } from "../../kit/changeable-dashboard.ts";

closeBrowserAfterAll();

/** What has the focus, by its label or text; empty for the page itself. */
function focused(page: Page): Promise<string> {
  return page.evaluate(() => {
    const element = document.activeElement;
    if (element === null || element === document.body) return "";
    const label = element instanceof HTMLInputElement ? element.labels?.[0]?.textContent : undefined;
    return (element.getAttribute("aria-label") ?? label ?? element.textContent ?? "").trim();
  });
}

/** Presses Tab until this has the focus; what had it on the way. */
async function tabTo(page: Page, name: string, key = "Tab"): Promise<readonly string[]> {
  const passed: string[] = [];
  while (passed.length < 80) {
    await page.keyboard.press(key);
    const now = await focused(page);
    if (now === name) return passed;
    passed.push(now);
  }
  throw new Error(`${key} does not lead to ${name}, but to ${passed.join("; ")}`);
}

async function ready(page: Page): Promise<void> {
  await page.getByRole("banner").getByRole("status").filter({ hasText: "Live" }).waitFor();
}

describe.skipIf(chromiumIsMissing)(`the dashboard by keyboard${skippedWithoutChromium}`, () => {
  test("the first Tab skips to the content, and each page is reached and begins there", async () => {
    const { perch } = await changeableDashboard({ release: longRollout });
    const { page } = await openPage(perch.adminOrigin);
    await ready(page);
    expect(await tabTo(page, "Skip to content")).toEqual([]);
    const skip = page.getByRole("button", { name: "Skip to content" });
    const box = await skip.boundingBox();
    expect(box?.y).toBeGreaterThanOrEqual(0);
    await page.keyboard.press("Enter");
    expect(await page.evaluate(() => document.activeElement?.tagName)).toBe("MAIN");
    expect(await tabTo(page, "shop")).not.toContain("Overview");

    for (const name of ["Explain", "Plan", "Live decisions", "Events", "Overview"]) {
      await page.evaluate(() => (document.activeElement as HTMLElement | null)?.blur());
      await tabTo(page, name, "Shift+Tab");
      await page.keyboard.press("Enter");
      await page
        .getByRole("navigation")
        .getByRole("link", { name, exact: true })
        .and(page.locator("[aria-current=page]"))
        .waitFor();
      expect(await page.evaluate(() => document.activeElement?.tagName)).toBe("MAIN");
      await page.getByRole("heading", { level: 1 }).waitFor();
    }
    await tabTo(page, "shop");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { level: 1, name: "shop" }).waitFor();
  });

  test("a rollout is paused: the dialog has the focus, keeps it, and gives it back", async () => {
    const { perch } = await changeableDashboard({ release: longRollout });
    const { page } = await openPage(`${perch.adminOrigin}/#/release/shop`);
    await ready(page);
    const passed = await tabTo(page, "Roll back");
    expect(passed.slice(-4)).toEqual(["Pause", "Resume", "Next step", "Promote"]);
    await tabTo(page, "Pause", "Shift+Tab");
    await page.keyboard.press("Enter");
    const dialog = page.getByRole("dialog");
    await dialog.waitFor();
    // At its end the focus may go to the browser's own controls, which the page sees as its body.
    const isBehind = () =>
      dialog.evaluate(
        (element) => document.activeElement !== document.body && !element.contains(document.activeElement),
      );
    // More often than it has fields: what is behind the dialog never gets the focus.
    for (let press = 0; press < 12; press++) {
      expect(await isBehind()).toBe(false);
      await page.keyboard.press("Tab");
    }
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "detached" });
    await expect.poll(() => focused(page)).toBe("Pause");

    await page.keyboard.press("Space");
    await dialog.waitFor();
    if ((await focused(page)) !== "Admin token") await tabTo(page, "Admin token");
    await page.keyboard.type(firstToken);
    await page.keyboard.press("Enter");
    await dialog.getByLabel("Reason").waitFor();
    await expect.poll(() => focused(page)).toBe("Reason");
    await page.keyboard.type("lunch");
    await page.keyboard.press("Enter");
    await page.getByRole("status").filter({ hasText: "Paused." }).waitFor();
    expect(perch.app.rollouts.of("shop")).toMatchObject({ phase: "paused", why: "lunch" });
    await expect.poll(() => focused(page)).toBe("Pause");

    // What cannot be done says why.
    await page.keyboard.press("Enter");
    await page.getByRole("status").filter({ hasText: "It is already paused." }).waitFor();
    expect(await dialog.count()).toBe(0);
    await tabTo(page, "Resume");
    await page.keyboard.press("Enter");
    await dialog.getByRole("heading", { name: "Resume shop?" }).waitFor();
    await page.keyboard.press("Escape");
  });

  test("a split is set by hand with arrow keys", async () => {
    const { perch } = await changeableDashboard();
    const { page } = await openPage(`${perch.adminOrigin}/#/release/shop`);
    await ready(page);
    await tabTo(page, "Weight of canary, in percent");
    await page.keyboard.press("End");
    await page.getByText(/^(79|80|81)\S* % of users move at their next request/).waitFor();
    await tabTo(page, "Set this split");
    await page.keyboard.press("Enter");
    await page.getByRole("dialog").waitFor();
    await page.keyboard.press("Escape");
    await expect.poll(() => focused(page)).toBe("Set this split");
  });

  test("a request is explained with Ctrl and Enter, and a configuration is planned so", async () => {
    const { perch, text } = await changeableDashboard();
    const { page } = await openPage(`${perch.adminOrigin}/#/explain`);
    await ready(page);
    await page.getByLabel("Request", { exact: true }).focus();
    await page.keyboard.type("curl http://shop.example/cart");
    await page.keyboard.press("Control+Enter");
    await page.getByRole("heading", { name: "Result" }).waitFor();
    await page.goto(`${perch.adminOrigin}/#/plan`);
    await page.getByLabel("New configuration").focus();
    await page.keyboard.insertText(text);
    await page.keyboard.press("Control+Enter");
    await page.getByText(/^\S Valid$/).waitFor();
  });
});
