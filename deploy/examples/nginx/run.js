// @ts-check
// Plain JavaScript: any Node runs this, and it runs the play with the Node that `npm ci` has installed for Perch.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";

const installed = fileURLToPath(new URL("../../../node_modules/.bin/node", import.meta.url));
const program = fileURLToPath(new URL("run.ts", import.meta.url));

if (!existsSync(installed)) {
  console.error("run `npm ci` in the root of the checkout first: it installs the Node that Perch needs");
  process.exit(2);
}
const { status } = spawnSync(installed, [program, ...process.argv.slice(2)], { stdio: "inherit" });
process.exit(status ?? 1);
