import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { externalCases, externalCasesAreMissing } from "../kit/external-cases.ts";
import { lanes } from "../kit/one-service.ts";
import { type ServedPerch, servePerch, temporaryFolder } from "../kit/served.ts";
import { refusedOrigin } from "../kit/upstream.ts";

const isMissing = externalCasesAreMissing();

interface Verdict {
  readonly id: string;
  readonly expect: "reject" | "accept" | "reject-or-normalise";
  readonly verdict: string;
}

/** Perch in front of two ports that are free by now, on which the runner will listen itself. */
async function perchForRunner(fastLane: "on" | "off") {
  const [stable, canary] = [await refusedOrigin(), await refusedOrigin()];
  const perch = await servePerch(`
fastLane: ${fastLane}
accessLog: { sample: 0 }
services:
  shop:
    versions: { stable: { endpoints: ["${stable}"] }, canary: { endpoints: ["${canary}"] } }
    timeouts: { connect: 1s, responseHeaders: 1s, idle: 1s }
releases: { shop: { split: { stable: 50, canary: 50 } } }
routes: [{ name: all, service: shop, release: shop }]
`);
  const proxy = ["--proxy", new URL(perch.origin).host];
  return { perch, proxy, stablePort: new URL(stable).port, canaryPort: new URL(canary).port };
}

/** What a runner printed; it exits with 1 where any case failed, which is judged here. */
function run(runner: string, args: readonly string[]): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  execFile(process.execPath, [externalCases(runner), ...args], { maxBuffer: 16 * 1024 * 1024 }, (error, stdout) => {
    if (error === null || error.code === 1) resolve(stdout);
    else reject(error);
  });
  return promise;
}

async function stillServes({ process, admin }: ServedPerch): Promise<void> {
  expect(process.child.exitCode).toBeNull();
  expect((await admin("/livez")).status).toBe(200);
  expect(process.stderr).not.toMatch(/uncaught|unhandled|internal-error/i);
}

describe.skipIf(isMissing).each(lanes)("in the $lane lane", ({ fastLane }) => {
  it("no request, however malformed, desynchronises Perch or reaches an upstream malformed", async () => {
    const { perch, proxy, stablePort, canaryPort } = await perchForRunner(fastLane);
    const report = join(await temporaryFolder(), "requests.json");
    const ports = ["--backend-port", stablePort, "--also-port", canaryPort];
    const corpus = ["--corpus", externalCases("requests.jsonl"), "--json", report];
    const printed = await run("run-requests.mjs", [...proxy, ...ports, ...corpus]);
    const verdicts = JSON.parse(await readFile(report, "utf8")) as readonly Verdict[];
    const failed = verdicts.filter(({ verdict }) => verdict.startsWith("FAIL"));
    const score = (expected: Verdict["expect"]) => {
      const all = verdicts.filter((verdict) => verdict.expect === expected);
      return { passed: all.filter(({ verdict }) => verdict === "pass").length, of: all.length };
    };
    const scores = { reject: score("reject"), either: score("reject-or-normalise"), accept: score("accept") };
    console.info(`${JSON.stringify(scores)}\n${printed}`);

    const worst = ["FAIL-desync", "FAIL-dirty-upstream", "FAIL-header-silently-dropped"];
    expect(failed.filter(({ verdict }) => worst.includes(verdict))).toEqual([]);
    expect(verdicts.length).toBeGreaterThan(500);
    // What is left is a matter of opinion: other protocols' names in a request line, blanks in chunk extensions, and
    // whether a connection of HTTP/1.0 is kept.
    for (const { passed, of } of Object.values(scores)) expect(passed / of).toBeGreaterThan(0.95);
    await stillServes(perch);
  });

  it("no response, however malformed, reaches a client malformed or answers another request", async () => {
    const { perch, proxy, stablePort } = await perchForRunner(fastLane);
    await perch.write(`
fastLane: ${fastLane}
accessLog: { sample: 0 }
services:
  shop:
    versions: { stable: { endpoints: ["http://127.0.0.1:${stablePort}"] } }
    timeouts: { connect: 1s, responseHeaders: 1s, idle: 1s }
routes: [{ name: all, service: shop }]
`);
    await perch.process.logged("configuration reloaded");
    const corpus = ["--backend-port", stablePort, "--corpus", externalCases("responses.jsonl")];
    const printed = await run("run-responses.mjs", [...proxy, ...corpus]);
    console.info(printed);
    const scores = JSON.parse(printed.trim().split("\n").at(-1) ?? "{}") as Readonly<Record<string, number>>;
    expect(Object.keys(scores).filter((verdict) => verdict.startsWith("FAIL"))).toEqual([]);
    expect(scores["pass"]).toBeGreaterThan(100);
    await stillServes(perch);
  });
});
