import type { Page } from "playwright-core";
import { describe, expect, test } from "vitest";
import { chromiumIsMissing, closeBrowserAfterAll, openPage, shown, skippedWithoutChromium } from "../../kit/browser.ts";
import { changeableDashboard, longRollout } from "../../kit/changeable-dashboard.ts";
import { startDemo } from "../../kit/demo-stage.ts";

closeBrowserAfterAll();

const languageOf = (page: Page) => page.evaluate(() => document.documentElement.lang);

describe.skipIf(chromiumIsMissing)(`the dashboard's languages${skippedWithoutChromium}`, () => {
  test("a Chinese browser gets Chinese on every page", async () => {
    const { perch } = await changeableDashboard({ release: longRollout });
    const { page } = await openPage(perch.adminOrigin, { locale: "zh-CN" });
    expect(await languageOf(page)).toBe("zh-CN");
    const main = page.getByRole("main");
    for (const [link, title] of [
      ["解释", "解释一个请求"],
      ["预演", "预演一份配置"],
      ["实时决策", "实时决策"],
      ["事件", "事件"],
      ["概览", "概览"],
    ] as const) {
      await page.getByRole("navigation").getByRole("link", { name: link, exact: true }).click();
      await main.getByRole("heading", { level: 1, name: title }).waitFor();
      expect(await page.title()).toBe(`${link} · Perch`);
    }
    await page.getByRole("link", { name: "shop", exact: true }).click();
    await main.getByText(/^\S 推进中$/).waitFor();
    await main.getByText(/^第 1 步，共 2 步：10 %/).waitFor();
    // The server gives the reasons of checks in English; every other text has Chinese in it.
    const reasons = perch.app.rollouts.of("shop")?.checks.map(({ why }) => why) ?? [];
    const english = (await main.innerText())
      .split("\n")
      .filter((line) => /[a-z]{3,} [a-z]{2,} [a-z]{2,}/i.test(line) && !/\p{Script=Han}/u.test(line));
    expect(english.filter((line) => !reasons.some((why) => line.includes(why)))).toEqual([]);

    await page.getByRole("button", { name: "回滚", exact: true }).click();
    await page.getByRole("dialog").getByLabel("管理令牌").waitFor();
  });

  test("the switch changes the whole page at once, and is kept over a reload", async () => {
    const { perch } = await changeableDashboard({ release: longRollout });
    const { page } = await openPage(`${perch.adminOrigin}/#/release/shop`);
    expect(await languageOf(page)).toBe("en");
    await page.getByRole("button", { name: "Pause", exact: true }).waitFor();
    await page.getByRole("button", { name: "切换到中文" }).click();
    await page.getByRole("button", { name: "暂停", exact: true }).waitFor();
    expect(await languageOf(page)).toBe("zh-CN");
    expect(await page.getByRole("button", { name: "Pause", exact: true }).count()).toBe(0);
    await page.reload();
    await page.getByRole("button", { name: "暂停", exact: true }).waitFor();
    expect(await languageOf(page)).toBe("zh-CN");
    await page.getByRole("button", { name: "Switch to English" }).click();
    await page.getByRole("button", { name: "Pause", exact: true }).waitFor();
    await page.reload();
    await page.getByRole("button", { name: "Pause", exact: true }).waitFor();
    expect(await languageOf(page)).toBe("en");
  });

  test.each([
    ["Asia/Shanghai", "GMT+8"],
    ["America/St_Johns", /GMT-[23]:30/],
    ["UTC", "GMT"],
  ] as const)("times are those of %s, with its offset", async (timezoneId, offset) => {
    const stage = await startDemo({ users: 20 });
    const { page } = await openPage(stage.adminOrigin, { timezoneId });
    const main = page.getByRole("main");
    await main.getByText(offset).first().waitFor();
    await page.getByRole("link", { name: "shop", exact: true }).click();
    await main.getByText(offset).first().waitFor();
    await page.getByRole("link", { name: "Live decisions" }).click();
    await page.getByRole("columnheader", { name: offset }).waitFor();
    await page.getByRole("link", { name: "Events" }).click();
    const time = main.locator("time").first();
    const at = await time.getAttribute("datetime");
    const local = new Date(at ?? "").toLocaleTimeString("en-GB", { timeZone: timezoneId });
    await expect.poll(() => time.textContent(), shown).toContain(local);
    expect(await time.textContent()).toMatch(offset);
  });
});
