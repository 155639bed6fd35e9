import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import axe from "axe-core";
import { type Browser, type BrowserContextOptions, chromium, type Locator, type Page } from "playwright-core";
import { afterAll, expect, onTestFinished } from "vitest";
import { findChromium } from "./chromium.ts";

const program = findChromium();
export const chromiumIsMissing = program === undefined;
export const skippedWithoutChromium = chromiumIsMissing ? " (skipped: chromium is not installed)" : "";

/** Playwright wants the path, and `PATH` has it. */
function chromiumPath(): string {
  for (const folder of (process.env["PATH"] ?? "").split(delimiter)) {
    const path = join(folder, program ?? "chromium");
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not in this folder.
    }
  }
  throw new Error("chromium is not in PATH");
}

export async function launchChromium(): Promise<Browser> {
  // `elsewhere.test` is a name of this machine that is not a loopback name.
  const args = ["--no-sandbox", "--disable-dev-shm-usage", "--host-resolver-rules=MAP elsewhere.test 127.0.0.1"];
  return chromium.launch({ executablePath: chromiumPath(), args });
}

let browser: Promise<Browser> | undefined;

/** One browser for all tests of a file; call it once at the top of the file. */
export function closeBrowserAfterAll(): void {
  afterAll(async () => {
    await (await browser)?.close();
    browser = undefined;
  });
}

export interface OpenedPage {
  readonly page: Page;
  /** Errors of the console, of scripts and of the content security policy, so far. */
  readonly problems: readonly string[];
  /** For a test that cuts the connection: the browser reports each request that fails. */
  forgiveLostConnections(): void;
  /** For a test in which the server refuses: the browser reports each such answer. */
  forgiveStatus(status: number): void;
  /** For an error that the browser reports of something that is as it should be. */
  forgive(pattern: RegExp): void;
}

/** Opens a page in a context of its own. The test fails if the page's console has an error. */
export async function openPage(url: string, options: BrowserContextOptions = {}): Promise<OpenedPage> {
  browser ??= launchChromium();
  const context = await (await browser).newContext({
    locale: "en-GB",
    viewport: { width: 1280, height: 900 },
    ...options,
  });
  context.setDefaultTimeout(20_000);
  const problems: string[] = [];
  const forgiven: RegExp[] = [];
  const page = await context.newPage();
  page.on("console", (message) => {
    if (message.type() === "error") problems.push(`${message.text()} at ${message.location().url}`);
  });
  page.on("pageerror", (error) => problems.push(String(error)));
  onTestFinished(async () => {
    await context.close();
    expect(problems.filter((text) => !forgiven.some((pattern) => pattern.test(text)))).toEqual([]);
  });
  await page.goto(url);
  return {
    page,
    problems,
    forgiveLostConnections() {
      forgiven.push(/net::ERR_(CONNECTION|INCOMPLETE|EMPTY_RESPONSE|FAILED)/);
    },
    forgiveStatus(status) {
      forgiven.push(new RegExp(`Failed to load resource: .* status of ${status} `));
    },
    forgive(pattern) {
      forgiven.push(pattern);
    },
  };
}

/** A badge of the page: its mark, then this text. */
export function badge(within: Page | Locator, text: string): Locator {
  return within.getByText(new RegExp(`^\\S ${text}$`));
}

/** For what the page shows once the server has told it. */
export const shown = { timeout: 20_000, interval: 50 };

interface AxeViolation {
  readonly id: string;
  readonly impact: string | null;
  readonly nodes: readonly { readonly html: string; readonly failureSummary?: string }[];
}

/** What axe-core finds on the page by WCAG 2.2 A and AA, of any impact: rule, place and reason. */
export async function accessibilityProblems(page: Page): Promise<readonly string[]> {
  // The page's policy forbids it to load scripts of others; the debugger may evaluate them.
  await page.evaluate(axe.source);
  const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
  const violations = (await page.evaluate(
    `axe.run(document, { runOnly: ${JSON.stringify(tags)} }).then(({ violations }) => violations)`,
  )) as readonly AxeViolation[];
  return violations.flatMap(({ id, impact, nodes }) =>
    nodes.map(({ html, failureSummary = "" }) => `${id} (${impact}): ${html.slice(0, 200)}: ${failureSummary}`),
  );
}
