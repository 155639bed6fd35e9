import type { Page } from "playwright-core";
import { describe, expect, test } from "vitest";
import { chromiumIsMissing, closeBrowserAfterAll, openPage, shown, skippedWithoutChromium } from "../../kit/browser.ts";
import { changeableDashboard, firstToken } from "../../kit/changeable-dashboard.ts";

closeBrowserAfterAll();

const editor = (page: Page) =>
  page
    .getByRole("main")
    .locator("section")
    .filter({ has: page.getByRole("heading", { name: "Manual split" }) });
const canarySlider = (page: Page) => editor(page).getByRole("slider", { name: "Weight of canary, in percent" });
const numberOf = (page: Page, version: string) =>
  editor(page).getByRole("spinbutton", { name: `Weight of ${version}, in percent` });
const setButton = (page: Page) => editor(page).getByRole("button", { name: "Set this split" });

/** Answers the dialog, which asks for the token where nobody is signed in. */
async function confirm(page: Page, name: string, why: string): Promise<void> {
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Reason").fill(why);
  await dialog.getByRole("button", { name, exact: true }).click();
  await dialog.waitFor({ state: "detached" });
}

async function splitsOf(adminOrigin: string) {
  const body = (await (await fetch(`${adminOrigin}/api/rollouts`)).json()) as { readonly splits: readonly object[] };
  return body.splits;
}

describe.skipIf(chromiumIsMissing)(`a split by hand${skippedWithoutChromium}`, () => {
  test("previews who moves, is set for a while with a reason, and is undone", async () => {
    const { perch } = await changeableDashboard();
    const { page } = await openPage(`${perch.adminOrigin}/#/release/shop`);
    await expect.poll(() => numberOf(page, "canary").inputValue(), shown).toBe("20");
    expect(await setButton(page).isDisabled()).toBe(true);

    // A number moves the slider and the other version, and the preview tells who moves.
    await numberOf(page, "canary").fill("50");
    await numberOf(page, "canary").press("Tab");
    expect(await canarySlider(page).inputValue()).toBe("50");
    expect(await numberOf(page, "stable").inputValue()).toBe("50");
    await editor(page)
      .getByText(/^(29|30|31)(\.\d+)? % of users move at their next request/)
      .waitFor();
    await editor(page)
      .getByText(/^\S+ % stable → canary$/)
      .waitFor();

    // So does the slider the number, and by as much as the keys say.
    await canarySlider(page).focus();
    await canarySlider(page).press("ArrowRight");
    expect(await numberOf(page, "canary").inputValue()).toBe("50.1");
    await canarySlider(page).press("Home");
    expect(await numberOf(page, "stable").inputValue()).toBe("100");
    await editor(page)
      .getByText(/^\S+ % canary → stable$/)
      .waitFor();
    await canarySlider(page).fill("20");
    await editor(page)
      .getByText(/users move/)
      .waitFor({ state: "detached" });

    await canarySlider(page).fill("35");
    await editor(page).getByLabel("For").selectOption("15 minutes");
    await setButton(page).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Admin token").fill(firstToken);
    await dialog.getByRole("button", { name: "Sign in" }).click();
    await dialog.getByText(/^1[45](\.\d+)? % of users move/).waitFor();
    await confirm(page, "Set this split", "a closer look");
    const set = editor(page).getByText(/^stable 65, canary 35, set by token [0-9a-f]{6}, until /);
    await set.waitFor();
    await editor(page).getByText("Reason: a closer look").waitFor();
    const [split] = (await splitsOf(perch.adminOrigin)) as readonly { readonly until: string }[];
    const minutesLeft = (Date.parse(split?.until ?? "") - Date.now()) / 60_000;
    expect(minutesLeft).toBeGreaterThan(13);
    expect(minutesLeft).toBeLessThan(15.1);
    await page.getByRole("link", { name: "Overview" }).click();
    await page.getByText(/^\S Split stable 65, canary 35 set by token/).waitFor();
    await page.getByRole("link", { name: "shop" }).click();
    await expect.poll(() => numberOf(page, "canary").inputValue(), shown).toBe("35");

    await editor(page).getByRole("button", { name: "Undo" }).click();
    await dialog.getByText("The configured split applies again from the next request.").waitFor();
    await confirm(page, "Undo", "seen enough");
    await set.waitFor({ state: "detached" });
    await expect.poll(() => numberOf(page, "canary").inputValue(), shown).toBe("20");
    expect(await splitsOf(perch.adminOrigin)).toEqual([]);
    await page.getByRole("link", { name: "Events" }).click();
    await page.getByText("Detail").first().waitFor();
    const rows = page.getByRole("main").getByRole("listitem").filter({ hasText: "Audit" });
    await expect.poll(() => rows.count(), shown).toBe(2);
  });

  test("that another person sets meanwhile leaves what is being typed, and says so", async () => {
    const { perch } = await changeableDashboard();
    const { page } = await openPage(`${perch.adminOrigin}/#/release/shop`);
    await canarySlider(page).fill("35");
    await setButton(page).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Admin token").fill(firstToken);
    await dialog.getByRole("button", { name: "Sign in" }).click();
    await dialog.getByLabel("Reason").fill("half a sentence");
    const answer = await fetch(`${perch.adminOrigin}/api/releases/shop/split`, {
      method: "POST",
      headers: { authorization: `Bearer ${firstToken}`, "content-type": "application/json" },
      body: JSON.stringify({ split: { stable: 65, canary: 35 } }),
    });
    expect(answer.status).toBe(200);
    await editor(page)
      .getByText(/^stable 65, canary 35, set by/)
      .waitFor();
    expect(await dialog.getByLabel("Reason").inputValue()).toBe("half a sentence");
    await fetch(`${perch.adminOrigin}/api/releases/shop/split`, {
      method: "POST",
      headers: { authorization: `Bearer ${firstToken}`, "content-type": "application/json" },
      body: JSON.stringify({ split: { stable: 50, canary: 50 } }),
    });
    await dialog.getByText("Somebody else has changed the split.").waitFor();
    await confirm(page, "Set this split", "half a sentence");
    await editor(page).getByText("The split is set.").waitFor();
    await expect.poll(() => numberOf(page, "canary").inputValue(), shown).toBe("35");
  });

  test("a weight out of range becomes the nearest one, and an emptied field what it was", async () => {
    const { perch } = await changeableDashboard();
    const { page } = await openPage(`${perch.adminOrigin}/#/release/shop`);
    const cases = [
      ["250", "100"],
      ["300", "100"],
      ["", "100"],
      ["-3", "0"],
      ["33.333", "33.33"],
    ] as const;
    for (const [given, canary] of cases) {
      await numberOf(page, "canary").fill(given);
      await numberOf(page, "canary").press("Tab");
      await expect.poll(() => numberOf(page, "canary").inputValue(), shown).toBe(canary);
      expect(Number(await numberOf(page, "stable").inputValue())).toBeCloseTo(100 - Number(canary));
    }
  });

  test("without admin.tokenFile it says why nothing can be set", async () => {
    const { perch } = await changeableDashboard({ hasTokenFile: false });
    const { page } = await openPage(`${perch.adminOrigin}/#/release/shop`);
    await canarySlider(page).fill("35");
    await editor(page).getByText("Read-only: the configuration has no admin.tokenFile.").waitFor();
    expect(await setButton(page).isDisabled()).toBe(true);
  });

  test("is previewed once a reader from elsewhere has signed in", async () => {
    const { perch } = await changeableDashboard({ host: "0.0.0.0", anyoneMayRead: true });
    const { port } = new URL(perch.adminOrigin);
    const { page, forgive, forgiveStatus } = await openPage(`http://elsewhere.test:${port}/#/release/shop`);
    forgiveStatus(401);
    // Without TLS and not on loopback, the browser says that it ignores this header.
    forgive(/Cross-Origin-Opener-Policy header has been ignored/);
    await expect.poll(() => numberOf(page, "canary").inputValue(), shown).toBe("20");
    await numberOf(page, "canary").fill("50");
    await numberOf(page, "canary").press("Tab");
    await editor(page).getByText("Remote access needs a token from admin.tokenFile.").waitFor();
    await setButton(page).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Admin token").fill(firstToken);
    await dialog.getByRole("button", { name: "Sign in", exact: true }).click();
    await dialog.getByText(/ % of users move at their next request/).waitFor();
  });
});
