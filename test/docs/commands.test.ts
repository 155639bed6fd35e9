import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { commands } from "../../src/cli/run.ts";
import { perch } from "../cli/captured-terminal.ts";
import { commandsOf, missingLine, notRun, type PageCommand } from "./commands.ts";
import { checkout, codesIn, type Page, pages } from "./page.ts";
import { completed, configBlocks, pageEnvironment, writeConfig } from "./yaml-blocks.ts";

const root = mkdtempSync(join(tmpdir(), "perch-commands-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

type Files = Readonly<Record<string, string>>;

/**
 * The files of a page: its first configuration is perch.yaml, or that of the checkout named below. A block that begins
 * with a comment such as `# jwt.yaml` is that file. Where the page lets its reader write another, it is made here: what is
 * found in perch.yaml, and what takes its place.
 */
function filesOf(page: Page): Files {
  const given = starts[page.path] ?? "config/minimal.yaml";
  const blocks = configBlocks(page).map(completed);
  const perchYaml = blocks[0] ?? readFileSync(`${checkout}${given}`, "utf8");
  const named = blocks.flatMap((text) => {
    const [, name] = /^# ([\w-]+\.yaml)\n/.exec(text) ?? [];
    return name === undefined ? [] : [[name, text] as const];
  });
  const { name, find, replacement } = edits[page.path] ?? { name: "next.yaml", find: "", replacement: "" };
  if (!perchYaml.includes(find)) throw new Error(`${page.path} has no ${find} to change`);
  return { "perch.yaml": perchYaml, [name]: perchYaml.replace(find, replacement), ...Object.fromEntries(named) };
}

const starts: Files = { "deploy/README.md": "deploy/base/perch.yaml" };

interface Edit {
  readonly name: string;
  readonly find: string;
  readonly replacement: string;
}

const ramp: Edit = { name: "next.yaml", find: "stable: 95, canary: 5", replacement: "stable: 75, canary: 25" };

const edits: Readonly<Record<string, Edit>> = {
  "README.md": ramp,
  "README.zh-CN.md": ramp,
  "deploy/README.md": { name: "old.yaml", find: "75", replacement: "90" },
  "docs/first-canary.md": { name: "next.yaml", find: "stable: 100, canary: 0", replacement: "stable: 95, canary: 5" },
};

interface Ran {
  readonly code: number;
  readonly output: string;
}

async function run(folder: string, [, ...args]: readonly string[]): Promise<Ran> {
  const inFolder = (word: string) => {
    if (!word.endsWith(".yaml") || existsSync(word)) return word;
    return join(existsSync(join(folder, word)) ? folder : checkout, word);
  };
  const { code, out, err } = await perch(args.map(inFolder), { ...process.env, ...pageEnvironment });
  return { code, output: `${err}${out}`.replaceAll(`${folder}/`, "").replaceAll(checkout, "") };
}

/** `serve` and `demo` would go on, `rollout` asks a Perch that runs, `judge` reads a log, and `…` is no value: the command line is read, the file checked, and that is all. */
function withoutRunning({ words }: PageCommand): readonly string[] {
  const endless = ["serve", "demo", "rollout", "judge"].includes(words[1] ?? "");
  return endless || words.some((word) => word.includes("…")) ? [...words, "--help"] : words;
}

const ofPerch = pages.map((page) => [page, commandsOf(page).filter(({ words }) => words[0] === "perch")] as const);

describe("the perch commands of pages", () => {
  test.each(ofPerch.filter(([, found]) => found.length > 0).map(([page, found]) => [page.path, page, found] as const))(
    "%s: each does what the page says",
    async (path, page, found) => {
      const folder = join(root, path);
      mkdirSync(folder, { recursive: true });
      for (const [name, text] of Object.entries(filesOf(page))) writeConfig(folder, name, text);
      for (const command of found) {
        const line = command.words.join(" ");
        const words = withoutRunning(command);
        const { code, output } = await run(folder, words);
        const refused = command.shown.some((shown) => shown.includes("error:"));
        expect({ line, code, output }).toEqual({ line, code: refused ? 2 : 0, output });
        if (words === command.words)
          expect({ line, missing: missingLine(command.shown, output), output }).toEqual({ line, output });
        const config = words[1] === "serve" ? words[words.indexOf("-c") + 1] : undefined;
        if (config?.endsWith(".yaml"))
          expect(await run(folder, ["perch", "validate", config])).toMatchObject({ code: 0 });
      }
    },
  );

  test("within a line too, each is one that there is", () => {
    const named = pages.flatMap(({ tokens }) => tokens.flatMap(({ raw }) => codesIn(raw)));
    const words = named.flatMap((code) => /^perch ([a-z]+)/.exec(code)?.[1] ?? []);
    expect(words.length).toBeGreaterThan(10);
    expect(words.filter((word) => !commands.some(({ name }) => name === word))).toEqual([]);
  });

  test("the README lists all of them", () => {
    const readme = readFileSync(`${checkout}README.md`, "utf8");
    expect(commands.filter(({ name }) => !readme.includes(`| \`perch ${name}`)).map(({ name }) => name)).toEqual([]);
  });
});

test("every program that a page names is run, or it is said why not", () => {
  const programs = pages.flatMap((page) => commandsOf(page).map(({ words }) => words[0] ?? ""));
  expect([...new Set(programs)].filter((program) => program !== "perch" && !(program in notRun))).toEqual([]);
});
