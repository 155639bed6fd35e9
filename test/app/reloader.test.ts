import { describe, expect, it } from "vitest";
import type { Preparation } from "../../src/app/data-plane.ts";
import { Reloader } from "../../src/app/reloader.ts";
import { type LoadedConfig, type LoadResult, loadConfigText } from "../../src/config/load.ts";
import { createLogger } from "../../src/observe/log.ts";
import { ReloadStats } from "../../src/observe/process-stats.ts";

const text = (port: number) => `
services: { shop: { versions: { stable: { endpoints: ["http://127.0.0.1:${port}"] } } } }
routes: [{ name: all, service: shop }]
`;

function load(port: number): LoadResult {
  return loadConfigText(text(port), { file: "perch.yaml", env: {}, randomSecret: () => new Uint8Array(32) });
}

/** A reloader on a configuration that `now` says, whose preparations the test answers. */
function reloader(first: number) {
  let port = first;
  const preparing: { readonly hash: string; answer(preparation: Preparation): void }[] = [];
  const looks: number[] = [];
  const stats = new ReloadStats();
  const made = new Reloader(
    {
      file: "perch.yaml",
      async load() {
        looks.push(port);
        return load(port);
      },
      prepare({ hash }) {
        const { promise, resolve } = Promise.withResolvers<Preparation>();
        preparing.push({ hash, answer: resolve });
        return promise;
      },
      stats,
      log: createLogger({ level: "silent", nowMs: () => 0 }),
      nowMs: () => 0,
      onFiles: () => {},
    },
    load(first) as LoadedConfig,
  );
  const becomes = (next: number) => {
    port = next;
  };
  return { made, becomes, preparing, looks, stats };
}

const hashOf = (port: number) => (load(port) as LoadedConfig).hash;
const prepared: Preparation = { kind: "prepared", commit: async () => {} };

describe("a reload while another is under way", () => {
  it("looks once more after it, however often it was asked", async () => {
    const { made, becomes, preparing, looks } = reloader(1);
    becomes(2);
    const first = made.reload();
    becomes(3);
    const asked = [made.reload(), made.reload(), made.reload()];
    await expect.poll(() => preparing.length).toBe(1);
    expect(looks).toEqual([2]);
    preparing[0]?.answer(prepared);
    await expect.poll(() => preparing.length).toBe(2);
    expect([looks, made.status.hash]).toEqual([[2, 3], hashOf(2)]);
    preparing[1]?.answer(prepared);
    await Promise.all([first, ...asked]);
    expect([looks, made.status.hash]).toEqual([[2, 3], hashOf(3)]);
  });
});

describe("a configuration that can not be prepared", () => {
  it("leaves the last good one, is told, and is tried again when asked", async () => {
    const { made, becomes, preparing, stats } = reloader(1);
    becomes(2);
    const first = made.reload();
    await expect.poll(() => preparing.length).toBe(1);
    preparing[0]?.answer({ kind: "failed", why: "worker 2: it ended with code 7" });
    await first;
    expect(made.status).toMatchObject({ hash: hashOf(1), lastError: { atMs: 0 } });
    expect(made.status.lastError?.problems.map(({ message }) => message)).toEqual([
      "not every worker could prepare it: worker 2: it ended with code 7",
    ]);
    expect([stats.results.by.failure.value, stats.lastSuccessful.value]).toEqual([1, 0]);

    const second = made.reload();
    await expect.poll(() => preparing.length).toBe(2);
    preparing[1]?.answer(prepared);
    await second;
    expect(made.status).toMatchObject({ hash: hashOf(2), lastError: undefined });
    expect([stats.results.by.success.value, stats.lastSuccessful.value]).toEqual([1, 1]);
  });
});
