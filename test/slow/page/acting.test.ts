import type { Page } from "playwright-core";
import { describe, expect, test } from "vitest";
import { StreamClient } from "../../admin/stream-client.ts";
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

const button = (page: Page, name: string) => page.getByRole("button", { name, exact: true });
const dialogOf = (page: Page) => page.getByRole("dialog");

interface Asked {
  readonly verb: string;
  /** A part of what the dialog says about people. */
  readonly effect: RegExp;
  readonly why: string;
  readonly done: string;
}

async function signIn(page: Page, token: string): Promise<void> {
  await dialogOf(page).getByLabel("Admin token").fill(token);
  await dialogOf(page).getByRole("button", { name: "Sign in" }).click();
}

async function act(page: Page, { verb, effect, why, done }: Asked): Promise<void> {
  await button(page, verb).click();
  await dialogOf(page).getByText(effect).waitFor();
  await dialogOf(page).getByLabel("Reason").fill(why);
  await dialogOf(page).getByLabel("Your name").fill("alice");
  await dialogOf(page).getByRole("button", { name: verb, exact: true }).click();
  await page.getByRole("status").filter({ hasText: done }).waitFor();
  expect(await dialogOf(page).count()).toBe(0);
}

const asked: readonly Asked[] = [
  { verb: "Pause", effect: /^Nobody moves\. The rollout stays/, why: "lunch", done: "Paused." },
  { verb: "Resume", effect: /^Nobody moves now\. The rollout continues/, why: "after lunch", done: "Resumed." },
  { verb: "Next step", effect: /^About \d+ users move to canary/, why: "looks good", done: "Moved to the next step." },
  { verb: "Promote", effect: /^About \d+ users move to canary/, why: "looks fine", done: "Promoted" },
  { verb: "Roll back", effect: /^About \d+ users move to stable/, why: "a bug <b>", done: "Rolled back." },
];

/** The audit lines that a program gets. */
async function auditOf(adminOrigin: string, count: number) {
  const client = new StreamClient(Number(new URL(adminOrigin).port), "GET /api/live");
  const lines = () => client.of("log").filter(({ kind }) => kind === "audit");
  await client.until(() => lines().length >= count);
  return lines();
}

describe.skipIf(chromiumIsMissing)(`acting on a rollout${skippedWithoutChromium}`, () => {
  test("each button tells its effect on people and does it; reason and name are in the audit log", async () => {
    const stage = await startDemo({ users: 60 });
    const { page } = await openPage(`${stage.adminOrigin}/#/release/shop`);
    const users = () => stage.rollouts.of("shop")?.users;
    await expect.poll(() => users()?.candidate.users, shown).toBeGreaterThan(0);
    await expect.poll(() => users()?.baseline.users, shown).toBeGreaterThan(5);
    await button(page, "Pause").click();
    await signIn(page, stage.adminToken);
    await dialogOf(page).getByRole("button", { name: "Cancel" }).click();

    for (const each of asked) await act(page, each);
    expect(stage.rollouts.of("shop")?.phase).toBe("rolled-back");
    await badge(page.getByRole("main"), "Rolled back").waitFor();

    const verbs = ["pause", "resume", "step", "promote", "rollback"];
    const audited = await auditOf(stage.adminOrigin, verbs.length);
    expect(audited).toMatchObject(
      asked.map(({ why }, at) => ({
        type: verbs[at],
        release: "shop",
        detail: why,
        by: expect.stringContaining("(alice)"),
      })),
    );
    await page.getByRole("link", { name: "Events" }).click();
    await button(page, `Audit ${verbs.length}`).click();
    const rows = page.getByRole("main").getByRole("listitem");
    await expect.poll(() => rows.count(), shown).toBe(verbs.length);
    for (const [at, { why }] of [...asked].reverse().entries()) {
      await rows.nth(at).getByText("Detail", { exact: true }).first().click();
      expect(await rows.nth(at).getByLabel("Detail").inputValue()).toBe(why);
      expect(await rows.nth(at).textContent()).toMatch(/by token [0-9a-f]{6} \(alice\)/);
    }
  });

  test("after a rollback every button says that there is nothing left to do", async () => {
    const stage = await startDemo({ users: 0 });
    await stage.rollouts.change("shop", "rollback", { why: "test", by: "test", ifRevision: undefined });
    const { page } = await openPage(`${stage.adminOrigin}/#/release/shop`);
    for (const { verb } of asked) {
      await button(page, verb).click({ force: true });
      expect(await button(page, verb).getAttribute("aria-disabled")).toBe("true");
      expect(await button(page, verb).getAttribute("title")).toMatch(/^It was rolled back\. To try again/);
    }
    await page
      .getByRole("main")
      .getByText(/^It was rolled back\. To try again/)
      .first()
      .waitFor();
    expect(await dialogOf(page).count()).toBe(0);
  });

  test("what changed since the dialog was opened is said, and can be confirmed again", async () => {
    const stage = await startDemo({ users: 0 });
    const { page, forgiveStatus } = await openPage(`${stage.adminOrigin}/#/release/shop`);
    forgiveStatus(412);
    await button(page, "Next step").click();
    await signIn(page, stage.adminToken);
    const confirm = dialogOf(page).getByRole("button", { name: "Next step", exact: true });
    await confirm.waitFor();
    await stage.rollouts.change("shop", "pause", { why: "wait", by: "test", ifRevision: undefined });
    await badge(page.getByRole("main"), "Paused").waitFor();
    await confirm.click();
    await dialogOf(page)
      .getByRole("alert")
      .filter({ hasText: "The state has changed since you opened this dialog." })
      .waitFor();
    expect(stage.rollouts.of("shop")?.step).toBe(1);
    await confirm.click();
    await page.getByRole("status").filter({ hasText: "Moved to the next step." }).waitFor();
    expect(stage.rollouts.of("shop")?.step).toBe(2);
  });

  test("a rollback is not held up by another change meanwhile", async () => {
    const stage = await startDemo({ users: 0 });
    const { page } = await openPage(`${stage.adminOrigin}/#/release/shop`);
    await button(page, "Roll back").click();
    await signIn(page, stage.adminToken);
    await dialogOf(page).getByText("Nobody gets canary any more").waitFor();
    await stage.rollouts.change("shop", "pause", { why: "wait", by: "test", ifRevision: undefined });
    await dialogOf(page).getByRole("button", { name: "Roll back", exact: true }).click();
    await page.getByRole("status").filter({ hasText: "Rolled back." }).waitFor();
  });
});
