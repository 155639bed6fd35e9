import { type ChildProcess, execFile, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { copiesIn, only, perform, readDockerfile, type Stage } from "./dockerfile.ts";

/**
 * Builds the image's contents by the steps of the Dockerfile, without Docker and a network: the files of COPY, the
 * build command of RUN, and the production packages that `npm prune` leaves.
 */
const checkout = fileURLToPath(new URL("../../", import.meta.url));
const [buildStage, finalStage, ...furtherStages] = readDockerfile(join(checkout, "Dockerfile"));
const packageJson = JSON.parse(readFileSync(join(checkout, "package.json"), "utf8"));

let folder: string;
let built: string;
let image: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "perch-image-"));
  built = join(folder, "src");
  image = join(folder, "app");
  mkdirSync(built);
  mkdirSync(image);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function stage(found: Stage | undefined): Stage {
  if (found === undefined) throw new Error("the Dockerfile has a stage less than expected");
  return found;
}

/** Production packages by the lock file. */
function productionPackages(): readonly string[] {
  const { packages } = JSON.parse(readFileSync(join(checkout, "package-lock.json"), "utf8"));
  return Object.keys(packages)
    .filter((path) => path !== "" && packages[path].dev !== true)
    .filter((path) => existsSync(join(checkout, path)));
}

function entrypoint(): { readonly program: string; readonly script: string } {
  const [program = "", script = ""] = JSON.parse(only(stage(finalStage), "ENTRYPOINT"));
  return { program, script };
}

/** Follows the Dockerfile: copies, builds, prunes, and copies the rest into the image. */
function buildImage(): void {
  for (const copy of copiesIn(stage(buildStage))) perform(copy, checkout, built);
  symlinkSync(join(checkout, "node_modules"), join(built, "node_modules"));
  const build = spawnSync("npm", ["run", "--silent", "build"], { cwd: built, encoding: "utf8" });
  expect(build.stdout + build.stderr).toBe("");
  expect(build.status).toBe(0);
  rmSync(join(built, "node_modules"));
  for (const path of productionPackages()) {
    if (path.lastIndexOf("node_modules/") === 0) cpSync(join(checkout, path), join(built, path), { recursive: true });
  }
  for (const copy of copiesIn(stage(finalStage))) {
    const sources = copy.sources.map((source) => source.replace(/^\/src\//, ""));
    perform({ ...copy, sources }, copy.from === undefined ? checkout : built, image);
  }
}

/** Runs the image's entry point with these arguments and this Node. */
async function runImage(args: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const options = { cwd: image, env: { NODE_ENV: "production" }, timeout: 60_000 };
  try {
    return { code: 0, ...(await promisify(execFile)(process.execPath, [entrypoint().script, ...args], options)) };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { code, stdout, stderr };
  }
}

describe("Dockerfile", () => {
  test("has two stages on the Node version of Perch", () => {
    expect([buildStage?.image, finalStage?.image, furtherStages]).toEqual(["node:26-slim", "node:26-slim", []]);
  });

  test("copies only existing files that .dockerignore lets into the build", () => {
    const [all, ...rules] = readFileSync(join(checkout, ".dockerignore"), "utf8")
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("#"));
    expect(all).toBe("*");
    const copied = [buildStage, finalStage]
      .flatMap((found) => copiesIn(stage(found)))
      .filter(({ from }) => from === undefined)
      .flatMap(({ sources }) => sources);
    for (const source of copied) expect([source, existsSync(join(checkout, source))]).toEqual([source, true]);
    expect(rules.sort()).toEqual([...new Set(copied)].map((source) => `!${source}`).sort());
  });

  test("runs as an unprivileged user, by number for Kubernetes", () => {
    expect(only(stage(finalStage), "USER")).toBe("10001:10001");
  });

  test("installs without scripts, builds by the package's command, and removes development packages", () => {
    const commands = stage(buildStage)
      .instructions.filter(({ word }) => word === "RUN")
      .flatMap(({ rest }) => rest.split(" && "))
      .map((command) => command.split(" ").slice(0, 3).join(" "));
    expect(commands).toEqual(["npm ci --ignore-scripts", "npm run build", "npm prune --omit=dev"]);
  });

  test("has no package manager in the final stage", () => {
    // The files of node:26-slim and, in older ones, of Corepack and Yarn.
    const kept = ["usr/local/bin/node", "usr/local/share/doc/node/README", "opt/other"];
    const removed = [
      "usr/local/bin/npm",
      "usr/local/bin/npx",
      "usr/local/bin/corepack",
      "usr/local/bin/yarnpkg",
      "usr/local/lib/node_modules/npm/package.json",
      "usr/local/include/node/node.h",
      "opt/yarn-v1.22.22/bin/yarn",
    ];
    const system = join(folder, "system");
    for (const path of [...kept, ...removed]) {
      mkdirSync(dirname(join(system, path)), { recursive: true });
      writeFileSync(join(system, path), "");
    }
    const command = only(stage(finalStage), "RUN").replaceAll(/ \/(?=usr|opt)/g, ` ${system}/`);
    expect(spawnSync("sh", ["-c", command], { encoding: "utf8" })).toMatchObject({ status: 0, stderr: "" });
    expect(kept.filter((path) => existsSync(join(system, path)))).toEqual(kept);
    expect(removed.filter((path) => existsSync(join(system, path)))).toEqual([]);
  });

  test("exposes the ports that Perch listens on by default", () => {
    expect(only(stage(finalStage), "EXPOSE")).toBe("8080 9901");
  });

  test("is labelled with the version of this package", () => {
    const args = stage(finalStage).instructions.filter(({ word }) => word === "ARG");
    expect(args.map(({ rest }) => rest)).toContain(`VERSION=${packageJson.version}`);
    expect(only(stage(finalStage), "LABEL")).toContain('org.opencontainers.image.version="$VERSION"');
  });
});

describe("the image", () => {
  beforeAll(() => {
    buildImage();
  });

  test("holds the program that its entry point names", () => {
    expect(entrypoint()).toEqual({ program: "node", script: "dist/cli/main.js" });
    expect(existsSync(join(image, entrypoint().script))).toBe(true);
  });

  test("runs without any development package", async () => {
    expect(await runImage(["--version"])).toMatchObject({
      code: 0,
      stdout: expect.stringContaining(`perch ${packageJson.version}`),
    });
  });

  test("reports in one line that no configuration is mounted", async () => {
    const { code, stderr } = await runImage(JSON.parse(only(stage(finalStage), "CMD")));
    expect(code).toBe(2);
    expect(stderr).toMatch(/^[^\n]*\/etc\/perch\/perch\.yaml[^\n]*\n$/);
  });

  test("serves, is healthy by its HEALTHCHECK, and stops on SIGTERM", async () => {
    const file = join(folder, "perch.yaml");
    writeFileSync(
      file,
      `listeners: [{ name: web, address: "127.0.0.1:0" }]
admin: { address: "127.0.0.1:0" }
services: { app: { versions: { stable: { endpoints: ["http://127.0.0.1:1"] } } } }
routes: [{ name: all, service: app }]
`,
    );
    const perch = spawn(process.execPath, [entrypoint().script, "serve", "-c", file], { cwd: image });
    const exit = once(perch, "exit");
    const adminPort = await adminPortOf(perch);
    expect(await healthcheck(adminPort)).toBe(0);
    perch.kill("SIGTERM");
    expect(await exit).toEqual([0, null]);
    expect(await healthcheck(adminPort)).toBe(1);
  });
});

/** The port in Perch's log. */
async function adminPortOf(perch: ChildProcess): Promise<string> {
  if (perch.stderr === null) throw new Error("no stderr to read");
  for await (const line of createInterface(perch.stderr)) {
    const { admin } = JSON.parse(line);
    if (typeof admin === "string") return admin.slice(admin.lastIndexOf(":") + 1);
  }
  throw new Error("Perch ended before it served");
}

/** The exit code of the image's HEALTHCHECK, with this port. */
async function healthcheck(port: string): Promise<number> {
  const [, command = "[]"] = /CMD (\[.*\])$/.exec(only(stage(finalStage), "HEALTHCHECK")) ?? [];
  const [program, ...args] = JSON.parse(command) as string[];
  expect(program).toBe("node");
  const check = spawn(
    process.execPath,
    args.map((arg) => arg.replace("127.0.0.1:9901/", `127.0.0.1:${port}/`)),
  );
  const [code] = await once(check, "exit");
  return code;
}
