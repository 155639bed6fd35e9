// @ts-check
// Plain JavaScript with an effect and nothing else, so that a Node too old for the rest still runs it and says so.
import process from "node:process";

// CVE-2026-58044: before these, node:http drops header fields past a count, and a Content-Length with them.
const [major = 0, minor = 0, patch = 0] = process.versions.node.split(".").map(Number);
const safe =
  major === 24
    ? minor > 18 || (minor === 18 && patch >= 1)
    : major === 26
      ? minor > 5 || (minor === 5 && patch >= 1)
      : major > 26;

if (!safe) {
  console.error(
    `perch: Node ${process.versions.node} will not do: Perch needs 24.18.1 or newer in 24, or 26.5.1 or newer.`,
  );
  process.exit(2);
}
