// @ts-check
// Plain JavaScript without imports of our own: a Node that is too old for the rest must still run this check.
import process from "node:process";

// CVE-2026-58044: older versions drop header fields above a count, possibly including Content-Length.
const [major = 0, minor = 0, patch = 0] = process.versions.node.split(".").map(Number);
const isSupported =
  major === 24
    ? minor > 18 || (minor === 18 && patch >= 1)
    : major === 26
      ? minor > 5 || (minor === 5 && patch >= 1)
      : major > 26;

if (!isSupported) {
  console.error(
    `perch: Node ${process.versions.node} is not supported: Perch needs 24.18.1 or a newer 24.x, or 26.5.1 or newer.`,
  );
  process.exit(2);
}
