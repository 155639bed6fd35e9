import { execFile, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";

/** The package as published, installed in an empty folder. */
const checkout = fileURLToPath(new URL("../../", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "perch-package-"));
const consumer = join(folder, "consumer");
/** Programs of the folder use the Node that runs this test. */
const env = { ...process.env, PATH: `${dirname(process.execPath)}${delimiter}${process.env["PATH"]}` };

let tarball: string;

beforeAll(async () => {
  await run("npm", ["pack", "--pack-destination", folder], checkout);
  tarball = join(folder, readdirSync(folder).find((name) => name.endsWith(".tgz")) ?? "");
  mkdirSync(consumer);
  writeFileSync(join(consumer, "package.json"), '{ "name": "consumer", "private": true, "type": "module" }');
  await run("npm", ["install", "--no-audit", "--no-fund", tarball, "typescript@7.0.2", "@types/node@26.6.6"], consumer);
});

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
  rmSync(join(checkout, "dist"), { recursive: true, force: true });
});

async function run(program: string, args: readonly string[], cwd: string): Promise<string> {
  try {
    const { stdout, stderr } = await promisify(execFile)(program, args, { cwd, env, timeout: 300_000 });
    return stdout + stderr;
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    throw new Error(`${program} ${args.join(" ")} failed:\n${stdout}${stderr}`);
  }
}

test("its command runs the demo", async () => {
  expect(await run("npx", ["perch", "demo", "--once"], consumer)).toContain("sticky flips                0");
});

test("it has the dashboard, with the licences of what is bundled, and serves it without a bundler", async () => {
  const config = `
listeners: [{ name: web, address: "127.0.0.1:0" }]
admin: { address: "127.0.0.1:0" }
services: { shop: { versions: { stable: { endpoints: ["http://127.0.0.1:9"] } } } }
routes: [{ name: shop, service: shop }]`;
  writeFileSync(join(consumer, "perch.yaml"), config);
  const program = join(consumer, "node_modules/perch-proxy/dist/cli/main.js");
  const child = spawn(process.execPath, [program, "serve", "-c", "perch.yaml"], { cwd: consumer, env });
  try {
    const admin = await addressIn(child.stderr);
    const html = await (await fetch(`http://${admin}/`, { headers: { accept: "text/html" } })).text();
    const assets = html.match(/\/assets\/[\w.-]+/g) ?? [];
    expect(assets).toHaveLength(2);
    for (const path of assets) expect((await fetch(`http://${admin}${path}`)).status).toBe(200);
  } finally {
    child.kill("SIGKILL");
  }
  const licences = readFileSync(join(consumer, "node_modules/perch-proxy/dist/dashboard/LICENSES.txt"), "utf8");
  for (const name of ["preact", "@preact/signals", "@preact/signals-core", "uplot"]) {
    expect(licences).toMatch(new RegExp(`^${name}\n`, "m"));
  }
});

/** The admin server's address, from the line that says that it serves. */
async function addressIn(log: Readable): Promise<string> {
  let text = "";
  for await (const piece of log) {
    text += piece;
    const [, address] = /"admin":"([^"]+)"/.exec(text) ?? [];
    if (address !== undefined) return address;
  }
  throw new Error(`it did not serve:\n${text}`);
}

test("its library decides, and has types", async () => {
  const config = `
services: { shop: { versions: { stable: { endpoints: ["http://a:80"] }, canary: { endpoints: ["http://b:80"] } } } }
releases: { shop: { split: { canary: 1 } } }
routes: [{ name: shop, service: shop, release: shop }]`;
  writeFileSync(
    join(consumer, "use.ts"),
    `import { createEngine, type EngineDecision } from "perch-proxy";
const engine = createEngine(${JSON.stringify(config)});
const decision: EngineDecision = engine.decide({ method: "GET", url: "/", headers: { host: "shop" } });
// @ts-expect-error A version is a string or null.
const wrong: number = decision.version;
console.log(decision.version, wrong);
`,
  );
  for (const module of [
    ["nodenext", "nodenext"],
    ["preserve", "bundler"],
  ] as const) {
    const options = ["--module", module[0], "--moduleResolution", module[1], "--strict", "--noEmit", "use.ts"];
    await run("npx", ["tsc", "--ignoreConfig", "--types", "node", "--target", "es2024", ...options], consumer);
  }
  expect(await run(process.execPath, ["use.ts"], consumer)).toContain("canary canary");
});

test("it has the program, documentation and examples only", async () => {
  const listed = await run("tar", ["-tzf", tarball], folder);
  const top = new Set(listed.split("\n").map((path) => path.split("/")[1]));
  expect([...top].filter((name) => name !== undefined).sort()).toEqual(
    [
      "CHANGELOG.md",
      "LICENSE",
      "README.md",
      "README.zh-CN.md",
      "SECURITY.md",
      "config",
      "dist",
      "docs",
      "package.json",
    ].sort(),
  );
  expect(listed).not.toMatch(/\.test\.|(?<!\.d)\.ts$/m);
});

test("publint and arethetypeswrong find nothing", async () => {
  const tools = join(folder, "tools");
  mkdirSync(tools);
  writeFileSync(join(tools, "package.json"), '{ "private": true }');
  await run("npm", ["install", "--no-audit", "--no-fund", "publint@0.3.25", "@arethetypeswrong/cli@0.18.5"], tools);
  await run("npx", ["publint", "--strict", tarball], tools);
  // Perch is an ES module only, which Node also loads by require().
  await run("npx", ["attw", "--profile", "esm-only", tarball], tools);
});
