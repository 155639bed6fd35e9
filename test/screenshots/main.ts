/**
 * `npm run screenshots`: pictures of the dashboard's main states, over the demo with a canary that breaks. Into the folder
 * `screenshots`, and the README's one into `docs/images`.
 */
import { mkdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { startLiveRollout } from "../../src/cli/demo/rollout-run.ts";
import { launchChromium } from "../kit/browser.ts";

const checkout = new URL("../../", import.meta.url);
const folder = new URL("screenshots/", checkout);
const users = 400;

const desktop: BrowserContextOptions = {
  viewport: { width: 1280, height: 860 },
  colorScheme: "light",
  locale: "en-GB",
};
const dark: BrowserContextOptions = { ...desktop, colorScheme: "dark" };
const phone: BrowserContextOptions = { ...desktop, viewport: { width: 360, height: 780 } };
const chinese: BrowserContextOptions = { ...desktop, locale: "zh-CN", timezoneId: "Asia/Shanghai" };

/** With what a person would have on the screen a moment after the address was typed. */
async function open(browser: Browser, url: string, options: BrowserContextOptions): Promise<Page> {
  const page = await (await browser.newContext(options)).newPage();
  await page.goto(url);
  await page.getByRole("heading", { level: 1 }).waitFor();
  // Charts and sparklines come with the first figures.
  await page.waitForTimeout(2_500);
  return page;
}

async function take(page: Page, name: string, close = true): Promise<void> {
  await page.screenshot({ path: fileURLToPath(new URL(`${name}.png`, folder)), fullPage: true });
  console.log(`screenshots/${name}.png`);
  if (close) await page.context().close();
}

const invalidConfig = `releases:
  shop:
    splitt: { stable: 90, canary: 10 }
routes:
  - { name: shop, service: shop, release: shop }
`;

async function main(): Promise<void> {
  await mkdir(folder, { recursive: true });
  await mkdir(new URL("docs/images/", checkout), { recursive: true });
  const browser = await launchChromium();
  const show = await startLiveRollout({ proxyPort: 0, adminPort: 0 }, true);
  const { adminOrigin, adminToken, rollouts } = show.stage;
  const at = (fragment: string) => `${adminOrigin}/${fragment}`;
  const rolledBack = new Promise<void>((resolve) => {
    rollouts.subscribe(({ type }) => type === "rolled-back" && resolve());
  });
  try {
    show.start(users);
    await take(await open(browser, at("#/"), desktop), "overview");
    const acting = await open(browser, at("#/release/shop"), desktop);
    await take(acting, "release-progressing", false);
    await acting.getByRole("button", { name: "Roll back" }).click();
    await acting.getByLabel("Admin token").fill(adminToken);
    await acting.getByRole("dialog").getByRole("button", { name: "Sign in" }).click();
    await acting.getByLabel("Reason").fill("errors in cn-east");
    await take(acting, "roll-back");
    const explain = await open(browser, at("#/explain"), desktop);
    await explain.getByRole("textbox").first().fill("curl 'http://shop.example.com/cart' -H 'x-user-region: cn-east'");
    await explain.keyboard.press("Control+Enter");
    await explain.waitForTimeout(500);
    await take(explain, "explain");
    const plan = await open(browser, at("#/plan"), desktop);
    await plan.getByRole("textbox").first().fill(invalidConfig);
    await plan.keyboard.press("Control+Enter");
    await plan.waitForTimeout(1_500);
    await take(plan, "plan");
    await rolledBack;
    const release = await open(browser, at("#/release/shop"), desktop);
    await take(release, "release-rolled-back", false);
    // The upper part: the rest is for those who open the page.
    const clip = { x: 0, y: 0, width: 1280, height: 1080 };
    const readme = fileURLToPath(new URL("docs/images/dashboard.png", checkout));
    await release.screenshot({ path: readme, fullPage: true, clip });
    await release.context().close();
    await take(await open(browser, at("#/release/shop"), dark), "release-dark");
    await take(await open(browser, at("#/release/shop"), phone), "release-phone");
    await take(await open(browser, at("#/release/shop"), chinese), "release-chinese");
    await take(await open(browser, at("#/"), { ...phone, colorScheme: "dark" }), "overview-phone-dark");
    await take(await open(browser, at("#/decisions"), desktop), "decisions");
    await take(await open(browser, at("#/events"), dark), "events-dark");
  } finally {
    await show.end();
    await browser.close();
  }
}

await main();
