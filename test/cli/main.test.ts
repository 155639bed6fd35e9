import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { describe, it } from "vitest";
import { temporaryFolder } from "./captured-terminal.ts";

const file = temporaryFolder();
const good = `services: { shop: { versions: { stable: { endpoints: ["http://shop:80"] } } } }
routes: [{ name: shop, service: shop }]
`;
const config = file("perch.yaml", good);

interface FinishedProcess {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs Perch as a separate process. */
async function perchProcess(args: readonly string[], input: string | Buffer): Promise<FinishedProcess> {
  const child = spawn(process.execPath, ["src/cli/main.ts", ...args]);
  const { promise: status, resolve, reject } = Promise.withResolvers<number | null>();
  child.once("error", reject).once("close", resolve);
  child.stdin.end(input);
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { status: await status, stdout, stderr };
}

interface ProcessCase {
  readonly sentence: string;
  readonly args: readonly string[];
  readonly input?: string | Buffer;
  readonly status: number;
  readonly stdout: RegExp;
  readonly stderr: RegExp;
}

describe("the perch process", () => {
  it.concurrent.for<ProcessCase>([
    {
      sentence: "an explanation on stdout, and exits with 0",
      args: ["explain", "-c", config, "--json", "/cart"],
      status: 0,
      stdout: /^\{\n {2}"route": "shop",\n/,
      stderr: /^$/,
    },
    {
      sentence: "the problems of standard input on stderr, and exits with 2",
      args: ["validate", "-", config],
      input: `${good}x: 1\n`,
      status: 2,
      stdout: /^\S+perch\.yaml: ok [^\n]+\n$/,
      stderr: /^<stdin>:3:1: error: unknown key "x"[^\n]*\n {3}3 \| x: 1\n {5}\| \^\n<stdin>: invalid \(1 error\)\n$/,
    },
    {
      sentence: "one JSON value, even if standard input is not UTF-8",
      args: ["validate", "--json", "-"],
      input: Buffer.from("# caf\xe9\n", "latin1"),
      status: 2,
      stdout: /^\[\n {2}\{\n {4}"file": "<stdin>",\n {4}"ok": false,[\s\S]+"the input is not valid UTF-8"[\s\S]+\]\n$/,
      stderr: /^$/,
    },
  ])("gives $sentence", async ({ args, input = "", status, stdout, stderr }, { expect }) => {
    const found = await perchProcess(args, input);
    expect(found.status).toBe(status);
    expect(found.stdout).toMatch(stdout);
    expect(found.stderr).toMatch(stderr);
  });
});
