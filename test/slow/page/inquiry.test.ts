import type { Page } from "playwright-core";
import { describe, expect, test } from "vitest";
import {
  badge,
  chromiumIsMissing,
  closeBrowserAfterAll,
  openPage,
  shown,
  skippedWithoutChromium,
} from "../../kit/browser.ts";
import { changeableDashboard } from "../../kit/changeable-dashboard.ts";
import { startDemo } from "../../kit/demo-stage.ts";

closeBrowserAfterAll();

const main = (page: Page) => page.getByRole("main");

describe.skipIf(chromiumIsMissing)(`asking and watching on the dashboard${skippedWithoutChromium}`, () => {
  test("a pasted curl line is explained with the trail of the decision", async () => {
    const stage = await startDemo({ users: 0 });
    const { page, forgiveStatus } = await openPage(`${stage.adminOrigin}/#/explain`);
    forgiveStatus(400);
    await page
      .getByLabel("Request", { exact: true })
      .fill(
        "curl 'http://shop.example/cart?a=1' -H 'x-user-region: cn-east' -H \"x-user-registered-at: 2026-03-01\" --compressed",
      );
    await page.getByText(/curl command line: headers \d, cookies 0/).waitFor();
    await page.getByRole("button", { name: "Explain", exact: true }).click();
    const answer = main(page)
      .locator("section")
      .filter({ has: page.getByRole("heading", { name: "Result" }) });
    await answer.getByText("canary", { exact: true }).first().waitFor();
    await answer.getByText("new-users-in-the-east").first().waitFor();
    const trail = await main(page).getByRole("row").allTextContents();
    expect(trail.length).toBeGreaterThan(3);
    expect(trail.join("\n")).toContain("new-users-in-the-east");

    await page.getByLabel("Request", { exact: true }).fill("x-user-region: us-west");
    await page.getByRole("button", { name: "Explain", exact: true }).click();
    await page.getByRole("alert").filter({ hasText: "Enter the URL" }).waitFor();
    await page.getByLabel("URL of the request").fill("not a url");
    await page.getByLabel("URL of the request").press("Control+Enter");
    await expect.poll(() => page.getByRole("alert").textContent(), shown).not.toContain("Enter the URL");
    await page.getByLabel("URL of the request").fill("http://shop.example/");
    await page.getByLabel("URL of the request").press("Control+Enter");
    // The split draws for it, so either version may be the result.
    await answer.getByText("new-users-in-the-east").waitFor({ state: "detached" });
    await answer
      .getByText(/^(?:stable|canary)$/)
      .first()
      .waitFor();

    await page.getByLabel("Request", { exact: true }).fill("<img src=x onerror=alert(1)>");
    await page.getByText("This is not a curl command").first().waitFor();
  });

  test("a plan shows the problems of a configuration with carets, and of a valid one who moves", async () => {
    const { perch, text } = await changeableDashboard();
    const { page } = await openPage(`${perch.adminOrigin}/#/plan`);
    const field = page.getByLabel("New configuration");
    const submit = page.getByRole("button", { name: "Plan", exact: true });
    await submit.click();
    await page.getByRole("alert").filter({ hasText: "Paste a configuration first." }).waitFor();

    await field.fill(text.replace("canary: 20", "canry: 20").replace("default: stable", "default: stabel"));
    await submit.click();
    await badge(main(page), "Would be rejected").waitFor();
    const problems = await page.getByLabel("Problems and their locations").inputValue();
    expect(problems).toMatch(/^\S*:\d+:\d+: error: .*canry/m);
    expect(problems).toMatch(/^\S*:\d+:\d+: error: .*stabel/m);
    expect(problems.match(/^ +\| +\^+/gm)?.length).toBeGreaterThanOrEqual(2);

    await field.fill(text.replace("{ stable: 80, canary: 20 }", "{ stable: 50, canary: 50 }"));
    await submit.click();
    await badge(main(page), "Valid").waitFor();
    await main(page)
      .getByText(/(29|30|31)(\.\d+)? % from stable to canary/)
      .first()
      .waitFor();
    await main(page).getByText("Releases whose users move: 1.").waitFor();
    // Nothing of it came into force.
    const [release] = perch.app.live.releases();
    expect(release?.versions).toContainEqual(expect.objectContaining({ version: "canary", configuredShare: 0.2 }));
  });

  test("the tail of decisions shows lines, filters them and can be paused", async () => {
    const stage = await startDemo({ users: 60 });
    const { page } = await openPage(`${stage.adminOrigin}/#/decisions`);
    const rows = () => page.getByRole("row").filter({ has: page.getByRole("cell") });
    await expect.poll(() => rows().count(), shown).toBeGreaterThan(20);
    const [first = ""] = await rows().allTextContents();
    expect(first).toMatch(/^\d\d:\d\d:\d\dshop/);

    await page.getByRole("combobox", { name: "Release", exact: true }).selectOption("shop");
    await page.getByRole("combobox", { name: "Rule", exact: true }).selectOption("new-users-in-the-east");
    await expect.poll(() => rows().count(), shown).toBeGreaterThan(3);
    const ruled = await rows().allTextContents();
    expect(ruled.filter((text) => !text.includes("new-users-in-the-east"))).toEqual([]);
    await page.getByRole("combobox", { name: "Status", exact: true }).selectOption("5xx");
    await page.getByText("No requests match the filters yet.").waitFor();
    stage.breakCanary();
    await expect.poll(() => rows().count(), shown).toBeGreaterThan(0);
    await page.getByRole("button", { name: "Clear filters" }).click();
    await expect.poll(() => rows().count(), shown).toBeGreaterThan(20);

    await page.getByRole("button", { name: "Pause", exact: true }).click();
    const held = await rows().allTextContents();
    await page.getByText(/^Paused; [1-9][\d,]* sampled since/).waitFor();
    expect(await rows().allTextContents()).toEqual(held);
    await page.getByRole("button", { name: "Resume", exact: true }).click();
    await expect.poll(() => rows().allTextContents(), shown).not.toEqual(held);
  });

  test("events are filtered by kind and text", async () => {
    const { perch, text, change, canary } = await changeableDashboard({
      release: "    split: { stable: 50, canary: 50 }\n",
    });
    const { page } = await openPage(`${perch.adminOrigin}/#/events`);
    await change(`${text}# another\n`);
    await canary.close();
    const rows = main(page).getByRole("listitem");
    const isTold = async () => {
      await (await fetch(perch.origin)).text();
      return (await rows.filter({ hasText: canary.origin }).count()) > 0;
    };
    await expect.poll(isTold, shown).toBe(true);
    await rows.filter({ hasText: "configuration reloaded" }).first().waitFor();
    const kinds = page.getByRole("group", { name: "Kinds of events" });
    await kinds.getByRole("button", { name: /^Configuration/ }).click();
    await rows.filter({ hasText: canary.origin }).first().waitFor({ state: "detached" });
    await kinds.getByRole("button", { name: /^Endpoints/ }).click();
    await page.getByLabel("Search").fill(new URL(canary.origin).port);
    await rows.filter({ hasText: "configuration reloaded" }).first().waitFor({ state: "detached" });
    expect(await rows.count()).toBeGreaterThan(0);
    await page.getByLabel("Search").fill("nothing has this");
    await page.getByText("No events match the filters.").waitFor();
  });
});
