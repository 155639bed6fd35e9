import { defineConfig } from "vitest/config";

/** Suites that take minutes, load the machine or need tools beside Node. One file at a time: they measure. */
export default defineConfig({
  test: {
    // What needs kubectl is here too: by now it may have been installed, and the ordinary run skipped it without.
    include: ["test/slow/**/*.test.ts", "test/deploy/**/*.test.ts"],
    testTimeout: 600_000,
    hookTimeout: 600_000,
    expect: { poll: { timeout: 5_000 } },
    fileParallelism: false,
    pool: "forks",
  },
});
