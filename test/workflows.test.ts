import { spawnSync } from "node:child_process";
import { accessSync, constants, existsSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { parseDocument } from "yaml";

const checkout = fileURLToPath(new URL("../", import.meta.url));
const read = (name: string) => readFileSync(join(checkout, name), "utf8");
const packageJson: { readonly version: string; readonly scripts: Readonly<Record<string, string>> } = JSON.parse(
  read("package.json"),
);

interface Step {
  readonly uses?: string;
  readonly run?: string;
  readonly with?: Readonly<Record<string, unknown>>;
}

interface Job {
  readonly uses?: string;
  readonly needs?: string | readonly string[];
  readonly permissions?: Readonly<Record<string, string>>;
  readonly "timeout-minutes"?: number;
  readonly steps?: readonly Step[];
}

interface Workflow {
  readonly on: Readonly<Record<string, unknown>>;
  readonly permissions: Readonly<Record<string, string>>;
  readonly jobs: Readonly<Record<string, Job>>;
}

const files = globSync(".github/workflows/*.yml", { cwd: checkout }).sort();

function workflow(file: string): Workflow {
  const document = parseDocument(read(file));
  expect([...document.errors, ...document.warnings]).toEqual([]);
  return document.toJS();
}

const jobs = files.flatMap((file) =>
  Object.entries(workflow(file).jobs).map(([name, job]) => [`${file}, ${name}`, job] as const),
);
const steps = jobs.flatMap(([place, { steps = [] }]) => steps.map((step) => [place, step] as const));

/** Programs that a runner has. */
const installed = new Set(["sudo", "env", "npm", "node", "rm", "gh", "echo"]);

/** Undefined where each program, script and file of a line is there. */
function whyNotRun(line: string): string | undefined {
  const words = line.match(/"[^"]*"|\S+/g) ?? [];
  const [program = ""] = words;
  if (!program.startsWith("./") && !installed.has(program)) return `${program}: no such program`;
  const [, script] = /\bnpm run (?:-s )?(\S+)/.exec(line) ?? [];
  if (script !== undefined && !(script in packageJson.scripts)) return `${script}: no such script`;
  if (/^npm (?!run |ci\b|test$|pkg set |publish )/.test(line)) return `${line}: no such command of npm`;
  const [, file] = /^node (\S+\.mjs)/.exec(line) ?? [];
  if (file !== undefined && !existsSync(join(checkout, file))) return `${file}: no such file`;
  for (const [, path = ""] of line.matchAll(/(?:^|\s)\.\/(\S+)/g)) {
    try {
      accessSync(join(checkout, path), constants.X_OK);
    } catch {
      return `${path}: cannot be run`;
    }
  }
  return undefined;
}

describe("the workflows", () => {
  test("there are two", () => {
    expect(files).toEqual([".github/workflows/ci.yml", ".github/workflows/release.yml"]);
  });

  test("CI runs on push and pull request, a release on tags alone", () => {
    expect(Object.keys(workflow(".github/workflows/ci.yml").on)).toEqual(["push", "pull_request", "workflow_call"]);
    expect(workflow(".github/workflows/release.yml").on).toEqual({ push: { tags: ["v[0-9]+.[0-9]+.[0-9]+"] } });
  });

  test.each(jobs)("%s: has permissions of its own, and ends", (_place, job) => {
    expect(job.permissions).toBeDefined();
    if (job.uses === undefined) expect(job["timeout-minutes"]).toBeGreaterThan(0);
  });

  test("no workflow gives its jobs more than reading", () => {
    for (const file of files) {
      expect(Object.values(workflow(file).permissions).filter((permission) => permission !== "read")).toEqual([]);
    }
  });

  test("what writes waits for CI and the version", () => {
    const writing = Object.entries(workflow(".github/workflows/release.yml").jobs).filter(([, { permissions = {} }]) =>
      Object.values(permissions).includes("write"),
    );
    expect(writing.map(([name]) => name)).toEqual(["npm", "image", "notes"]);
    for (const [, { needs }] of writing) expect(needs).toEqual(expect.arrayContaining(["ci", "version"]));
  });

  test("every action is pinned to a commit, with its version beside it; others are files of the checkout", () => {
    const lines = files.flatMap((file) => read(file).match(/^.*\buses: .*$/gm) ?? []);
    expect(lines.length).toBeGreaterThan(8);
    const pinned = /uses: [\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/;
    const own = lines.filter((line) => !pinned.test(line)).map((line) => /uses: \.\/(\S+)$/.exec(line)?.[1] ?? line);
    expect(own.filter((path) => !existsSync(join(checkout, path)))).toEqual([]);
  });

  test("an action has one commit", () => {
    const actions = files.flatMap((file) => [...read(file).matchAll(/uses: (\S+)@(\S+)/g)]);
    const commits = new Map(actions.map(([, name, commit]) => [name, commit]));
    expect(actions.filter(([, name, commit]) => commits.get(name) !== commit)).toEqual([]);
  });

  test("a checkout leaves no credentials behind for what runs after it", () => {
    const checkouts = steps.filter(([, { uses }]) => uses?.startsWith("actions/checkout@"));
    expect(checkouts.filter(([, step]) => step.with?.["persist-credentials"] !== false)).toEqual([]);
  });

  test("every command is there", () => {
    const lines = steps.flatMap(([, { run = "" }]) => run.split("\n").filter((line) => line !== ""));
    expect(lines).toContain('sudo env "PATH=$PATH" ./.ci/run');
    expect(lines.flatMap((line) => whyNotRun(line) ?? [])).toEqual([]);
  });

  test("names no host: where to publish is said by variables", () => {
    const hosts = files.flatMap((file) => read(file).match(/\b[\w-]+\.(?:io|com|org|dev|net)\b/g) ?? []);
    expect(hosts).toEqual([]);
  });

  test("no expression stands in a command, where its value would be read as shell", () => {
    expect(steps.filter(([, { run }]) => run?.includes("${{"))).toEqual([]);
  });
});

describe("release-notes.mjs", () => {
  const root = mkdtempSync(join(tmpdir(), "perch-release-"));
  afterAll(() => rmSync(root, { recursive: true, force: true }));

  const consistent = {
    "package.json": '{ "version": "1.2.3" }',
    "package-lock.json": '{ "version": "1.2.3", "packages": { "": { "version": "1.2.3" } } }',
    Dockerfile: "FROM node\nARG VERSION=1.2.3\n",
    "CHANGELOG.md":
      "# Changelog\n\n## Unreleased\n\n- later\n\n## 1.2.3 - 2026-11-30\n\n- faster\n\n## 1.2.2 - 2026-10-01\n\n- old\n",
  };

  function notesOf(tag: string, changed: Partial<Record<keyof typeof consistent, string>> = {}) {
    const folder = mkdtempSync(join(root, "checkout-"));
    for (const [name, text] of Object.entries({ ...consistent, ...changed })) writeFileSync(join(folder, name), text);
    const script = join(checkout, ".github/release-notes.mjs");
    const { status, stdout, stderr } = spawnSync(process.execPath, [script, tag, folder], { encoding: "utf8" });
    return { status, stdout, stderr };
  }

  test("prints the section of the version, and no other", () => {
    expect(notesOf("v1.2.3")).toEqual({ status: 0, stdout: "- faster\n", stderr: "" });
  });

  test.each([
    ["a tag that is no version", "latest", {}, '"latest" is not a tag like v1.2.3'],
    ["another version in package.json", "v1.2.3", { "package.json": '{ "version": "1.2.2" }' }, "package.json has"],
    [
      "another version in the Dockerfile",
      "v1.2.3",
      { Dockerfile: "ARG VERSION=1.2.2\n" },
      "Dockerfile has version 1.2.2",
    ],
    ["a changelog without the version", "v1.2.3", { "CHANGELOG.md": "## Unreleased\n\n- x\n" }, "has no section"],
    ["a section without a date", "v1.2.3", { "CHANGELOG.md": "## 1.2.3\n\n- x\n" }, "has no section"],
    ["an empty section", "v1.2.3", { "CHANGELOG.md": "## 1.2.3 - 2026-11-30\n" }, "has no section"],
  ] as const)("refuses %s", (_what, tag, changed, message) => {
    const { status, stdout, stderr } = notesOf(tag, changed);
    expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
    expect(stderr).toContain(message);
  });

  test("the checkout names one version throughout, and the changelog has its section", () => {
    const script = join(checkout, ".github/release-notes.mjs");
    const { status, stderr } = spawnSync(process.execPath, [script, `v${packageJson.version}`], { encoding: "utf8" });
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  });
});
