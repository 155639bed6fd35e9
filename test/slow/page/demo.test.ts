import { expect, test } from "vitest";
import {
  badge,
  chromiumIsMissing,
  closeBrowserAfterAll,
  openPage,
  shown,
  skippedWithoutChromium,
} from "../../kit/browser.ts";
import { startDemo } from "../../kit/demo-stage.ts";

closeBrowserAfterAll();

test.skipIf(chromiumIsMissing)(
  `a canary that breaks is seen to fail and to be rolled back, with the reason, without a reload${skippedWithoutChromium}`,
  async () => {
    const stage = await startDemo({ users: 60 });
    const [{ page }, { page: overview }] = await Promise.all([
      openPage(`${stage.adminOrigin}/#/release/shop`),
      openPage(stage.adminOrigin),
    ]);
    let loads = 0;
    for (const each of [page, overview]) each.on("load", () => loads++);

    const main = page.getByRole("main");
    await badge(main, "Progressing").waitFor();
    await main.getByText("no check fails").first().waitFor();
    const card = overview.getByRole("listitem").filter({ has: overview.getByRole("link", { name: "shop" }) });
    await badge(card, "Progressing").waitFor();
    // The canary has served somebody before it breaks.
    const shares = async () => (await card.getByRole("definition").allTextContents()).join(" ");
    await expect.poll(shares, shown).toMatch(/[1-9]\d* of \d+/);

    stage.breakCanary();
    await badge(main, "Rolled back").waitFor();
    await badge(card, "Rolled back").waitFor();
    const why = stage.rollouts.of("shop")?.why ?? "";
    expect(why).toContain("users who met an error");
    await main.getByText(why).first().waitFor();
    await card.getByText(why).first().waitFor();
    const checks = main
      .getByRole("listitem")
      .filter({ has: page.getByRole("heading", { name: "errors", exact: true }) });
    await badge(checks, "Fails").waitFor();
    const markers = main.getByRole("group").filter({ hasText: "Events" });
    await expect.poll(() => markers.getByRole("listitem").count(), shown).toBeGreaterThanOrEqual(2);
    expect(await markers.getByRole("listitem").first().textContent()).toMatch(/^B/);

    await page.getByRole("link", { name: "Events" }).click();
    const events = page.getByRole("main").getByRole("listitem");
    await events.filter({ hasText: "Rolled back" }).filter({ hasText: why }).first().waitFor();
    expect(loads).toBe(0);
  },
);
