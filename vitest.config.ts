import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    exclude: ["test/slow/**"],
    testTimeout: 20_000,
    pool: "forks",
    // A worker for each file would double the time; no file leaves anything behind that another could meet.
    isolate: false,
  },
});
