import type { Page } from "playwright-core";
import { describe, expect, test } from "vitest";
import { chromiumIsMissing, closeBrowserAfterAll, openPage, skippedWithoutChromium } from "../../kit/browser.ts";
import { changeableDashboard, firstToken, longRollout } from "../../kit/changeable-dashboard.ts";
import { renameOver } from "../../kit/served.ts";

closeBrowserAfterAll();

const header = (page: Page) => page.getByRole("banner");
const dialogOf = (page: Page) => page.getByRole("dialog");
const live = (page: Page) => header(page).getByRole("status").filter({ hasText: "Live" });

async function enter(form: ReturnType<Page["getByRole"]>, token: string): Promise<void> {
  await form.getByLabel("Admin token").fill(token);
  await form.getByRole("button", { name: "Sign in", exact: true }).click();
}

async function signIn(page: Page): Promise<void> {
  await header(page).getByRole("button", { name: "Sign in" }).click();
  await enter(dialogOf(page), firstToken);
  await header(page).getByRole("button", { name: "Sign out" }).waitFor();
}

describe.skipIf(chromiumIsMissing)(`the dashboard's session${skippedWithoutChromium}`, () => {
  test("acting asks for the token: a wrong one is refused in words, a right one goes on where it was", async () => {
    const { perch } = await changeableDashboard({ release: longRollout });
    const { page, forgiveStatus } = await openPage(`${perch.adminOrigin}/#/release/shop`);
    forgiveStatus(401);
    await page.getByRole("button", { name: "Pause", exact: true }).click();
    const dialog = dialogOf(page);
    await enter(dialog, "a-token-that-nobody-gave-out");
    await dialog.getByRole("alert").filter({ hasText: "The token is not in admin.tokenFile." }).waitFor();
    await enter(dialog, "two words");
    await dialog
      .getByRole("alert")
      .filter({ hasText: "A token contains only ASCII characters and no spaces." })
      .waitFor();
    await enter(dialog, firstToken);
    await dialog.getByRole("heading", { name: "Pause shop?" }).waitFor();
    await dialog.getByText("Nobody moves.").waitFor();
  });

  test("the token is nowhere but in memory: gone with a reload and with signing out", async () => {
    const { perch } = await changeableDashboard({ release: longRollout });
    const { page } = await openPage(`${perch.adminOrigin}/#/release/shop`);
    const urls: string[] = [];
    page.on("request", (request) => urls.push(request.url()));
    await signIn(page);
    await page.getByRole("link", { name: "Plan" }).click();
    await page.getByRole("link", { name: "Live decisions" }).click();
    const kept = await page.evaluate(async () => {
      const databases = await indexedDB.databases();
      const storages = [localStorage, sessionStorage].map((storage) => JSON.stringify(storage));
      const html = document.documentElement.outerHTML;
      return [
        location.href,
        ...storages,
        document.cookie,
        html,
        JSON.stringify(history.state),
        JSON.stringify(databases),
      ];
    });
    for (const text of [...kept, ...urls, JSON.stringify(await page.context().cookies())]) {
      expect(text).not.toContain(firstToken);
    }
    await page.reload();
    await header(page).getByRole("button", { name: "Sign in" }).waitFor();
    await signIn(page);
    await header(page).getByRole("button", { name: "Sign out" }).click();
    await header(page).getByRole("button", { name: "Sign in" }).waitFor();
    await page.goto(`${perch.adminOrigin}/#/release/shop`);
    await page.getByRole("button", { name: "Pause", exact: true }).click();
    await dialogOf(page).getByLabel("Admin token").waitFor();
  });

  test("a token that is withdrawn ends the session, and the new one takes it up", async () => {
    const { perch, tokens, reloadedBy } = await changeableDashboard({ release: longRollout });
    const { page, forgiveStatus } = await openPage(`${perch.adminOrigin}/#/release/shop`);
    forgiveStatus(401);
    await signIn(page);
    await page.getByRole("button", { name: "Pause", exact: true }).click();
    await dialogOf(page).getByLabel("Reason").waitFor();
    await reloadedBy(() => renameOver(tokens, "a-second-token-for-tests-of-the-dashboard\n"));
    const main = page.getByRole("main");
    await main.getByText("The token is not in admin.tokenFile.").waitFor();
    expect(await dialogOf(page).count()).toBe(0);
    await header(page).getByRole("status").filter({ hasText: "Not signed in" }).waitFor();
    expect(await page.getByRole("alert").count()).toBe(0);
    await enter(main, "a-second-token-for-tests-of-the-dashboard");
    await live(page).waitFor();
    await page.getByRole("heading", { level: 1, name: "shop" }).waitFor();
  });

  test("without admin.tokenFile the buttons say why they do nothing", async () => {
    const { perch } = await changeableDashboard({ release: longRollout, hasTokenFile: false });
    const { page } = await openPage(`${perch.adminOrigin}/#/release/shop`);
    for (const name of ["Pause", "Resume", "Next step", "Promote", "Roll back"]) {
      const button = page.getByRole("button", { name, exact: true });
      await button.click({ force: true });
      expect(await button.getAttribute("aria-disabled")).toBe("true");
      expect(await button.getAttribute("title")).toContain("no admin.tokenFile");
    }
    await page.getByRole("main").getByText("Read-only: the configuration has no admin.tokenFile.").first().waitFor();
    expect(await dialogOf(page).count()).toBe(0);
  });

  test("a reader from elsewhere is asked for the token before anything is shown", async () => {
    const { perch } = await changeableDashboard({ release: longRollout, host: "0.0.0.0" });
    const { port } = new URL(perch.adminOrigin);
    const { page, forgive, forgiveStatus } = await openPage(`http://elsewhere.test:${port}/#/release/shop`);
    forgiveStatus(401);
    // Without TLS and not on loopback, the browser says that it ignores this header.
    forgive(/Cross-Origin-Opener-Policy header has been ignored/);
    const main = page.getByRole("main");
    await main.getByText("Sign in with the admin token to see this server.").waitFor();
    expect(await main.textContent()).not.toContain("shop");
    await enter(main, firstToken);
    await page.getByRole("heading", { level: 1, name: "shop" }).waitFor();
    await live(page).waitFor();
    expect(await main.evaluate((element) => element === document.activeElement)).toBe(true);
  });
});
