import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

// Tests start Perch many times, as a program and in threads; each start would strip the types of all files again.
process.env["NODE_COMPILE_CACHE"] ??= fileURLToPath(new URL("node_modules/.cache/node-compile", import.meta.url));

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // Of test/deploy, in test:slow: what reads the manifests starts kubectl and promtool many times.
    exclude: ["test/slow/**", "test/deploy/**"],
    testTimeout: 20_000,
    // The default of a second is short where three files share two cores.
    expect: { poll: { timeout: 5_000 } },
    tags: [
      {
        name: "slow",
        description: "Takes long, or compares very many cases: in test:slow, not in test.",
        timeout: 90_000,
      },
    ],
    pool: "forks",
    // The usual machine has two cores, and a third of the time a test waits for a socket or a timer.
    maxWorkers: 3,
    // A worker for each file would double the time; no file leaves anything behind that another could meet.
    isolate: false,
    // Node loads and strips the types itself, as when Perch runs. It is faster than the runner's own transformation.
    experimental: { viteModuleRunner: false },
  },
});
