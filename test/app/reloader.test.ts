import { describe, expect, it } from "vitest";
import { type ConfigStatus, Reloader, type ReloadPreparation } from "../../src/app/reloader.ts";
import { type LoadedConfig, type LoadResult, loadConfigText } from "../../src/config/load.ts";
import { createLogger } from "../../src/observe/log.ts";
import { ReloadStats } from "../../src/observe/process-stats.ts";
import type { RolloutPreparation } from "../../src/rollout/controller-parts.ts";

const token = Buffer.from("a token of thirty-two bytes .....");

const text = (port: number, more = "") => `
services: { shop: { versions: { stable: { endpoints: ["http://127.0.0.1:${port}"] } } } }
routes: [{ name: all, service: shop }]
${more}
`;

function load(port: number, more?: string): LoadResult {
  const readFile = () => token;
  return loadConfigText(text(port, more), { file: "perch.yaml", env: {}, randomSecret: () => token, readFile });
}

/** A reloader of a configuration that the test changes, whose preparations the test answers. */
function reloader(first: number, rollouts: RolloutPreparation = { problems: [], commit: async () => {} }) {
  let port = first;
  let more: string | undefined;
  const preparing: { readonly hash: string; answer(preparation: ReloadPreparation): void }[] = [];
  const loads: number[] = [];
  const named: { readonly files: readonly string[]; readonly contentsRead: ReadonlyMap<string, Uint8Array> }[] = [];
  const lines: string[] = [];
  const statuses: { readonly now: ConfigStatus; readonly before: ConfigStatus }[] = [];
  const stats = new ReloadStats();
  const made = new Reloader(
    {
      file: "perch.yaml",
      async load() {
        loads.push(port);
        return load(port, more);
      },
      prepareRollouts: () => rollouts,
      prepare({ hash }) {
        const { promise, resolve } = Promise.withResolvers<ReloadPreparation>();
        preparing.push({ hash, answer: resolve });
        return promise;
      },
      stats,
      log: createLogger({ level: "info", nowMs: () => 0, to: { write: (line) => void lines.push(line) } }),
      nowMs: () => 0,
      onStatus: (now, before) => void statuses.push({ now, before }),
      onFiles: (files, contentsRead) => void named.push({ files, contentsRead }),
    },
    load(first) as LoadedConfig,
  );
  const change = (next: number, nextMore?: string) => {
    port = next;
    more = nextMore;
  };
  const logged = () => lines.map((line): Record<string, unknown> => JSON.parse(line));
  return { made, change, preparing, loads, named, logged, statuses, stats };
}

const hashOf = (port: number) => (load(port) as LoadedConfig).hash;
const prepared: ReloadPreparation = { kind: "prepared", commit: async () => {} };

describe("a reload that a rollout cannot go on with", () => {
  it("is rejected with the place and what to do, before any plane prepares it", async () => {
    const problems = [{ release: "shop", message: "the candidate changed; give the rollout a new id" }];
    const { made, change, preparing } = reloader(1, { problems, commit: async () => {} });
    change(2);
    await made.reload();
    expect([preparing.length, made.status.hash]).toEqual([0, hashOf(1)]);
    expect(made.status.lastError?.problems.map(({ message }) => message)).toEqual([
      "releases.shop: the candidate changed; give the rollout a new id",
    ]);
  });
});

describe("a reload while another is in progress", () => {
  it("loads the file once more afterwards, however often it was requested", async () => {
    const { made, change, preparing, loads } = reloader(1);
    change(2);
    const first = made.reload();
    change(3);
    const further = [made.reload(), made.reload(), made.reload()];
    await expect.poll(() => preparing.length).toBe(1);
    expect(loads).toEqual([2]);
    preparing[0]?.answer(prepared);
    await expect.poll(() => preparing.length).toBe(2);
    expect([loads, made.status.hash]).toEqual([[2, 3], hashOf(2)]);
    preparing[1]?.answer(prepared);
    await Promise.all([first, ...further]);
    expect([loads, made.status.hash]).toEqual([[2, 3], hashOf(3)]);
  });
});

it("the files that a configuration names are reported with what was read, so that a later change is noticed", async () => {
  const { made, change, preparing, named } = reloader(1);
  change(2, 'admin: { address: "127.0.0.1:1", tokenFile: /run/token }');
  const reload = made.reload();
  await expect.poll(() => preparing.length).toBe(1);
  preparing[0]?.answer(prepared);
  await reload;
  expect(named).toEqual([{ files: ["/run/token"], contentsRead: new Map([["/run/token", token]]) }]);
});

it("each load that changed the status is told, with what was active before", async () => {
  const { made, change, preparing, statuses } = reloader(1);
  await made.reload();
  change(2, "no such key: 1");
  await made.reload();
  change(2);
  const reload = made.reload();
  await expect.poll(() => preparing.length).toBe(1);
  expect(statuses.length).toBe(1);
  preparing[0]?.answer(prepared);
  await reload;
  expect(statuses).toMatchObject([
    { now: { hash: hashOf(1), lastError: { atMs: 0 } }, before: { hash: hashOf(1), lastError: undefined } },
    { now: { hash: hashOf(2), lastError: undefined }, before: { hash: hashOf(1), lastError: { atMs: 0 } } },
  ]);
});

describe("the log of a reload", () => {
  it.each([
    {
      sentence: "is at info",
      more: undefined,
      wanted: { level: "info", msg: "configuration reloaded", restartNeeded: [] },
    },
    {
      sentence: "is at warn and names the keys that need a restart",
      more: 'workers: 2\nadmin: { address: "127.0.0.1:1" }\nstate: { file: state.json }',
      wanted: {
        level: "warn",
        msg: "configuration reloaded; restart Perch to apply changes to admin.address, workers, state.file",
        restartNeeded: ["admin.address", "workers", "state.file"],
      },
    },
  ])("$sentence", async ({ more, wanted }) => {
    const { made, change, preparing, logged } = reloader(1);
    change(2, more);
    const reload = made.reload();
    await expect.poll(() => preparing.length).toBe(1);
    preparing[0]?.answer(prepared);
    await reload;
    expect(logged()).toEqual([expect.objectContaining({ ...wanted, file: "perch.yaml" })]);
  });
});

describe("a configuration that cannot be prepared", () => {
  it("leaves the active one in place, is reported, and is tried again on the next reload", async () => {
    const { made, change, preparing, logged, stats } = reloader(1);
    change(2);
    const first = made.reload();
    await expect.poll(() => preparing.length).toBe(1);
    preparing[0]?.answer({ kind: "failed", why: "worker 2: exited with code 7" });
    await first;
    expect(made.status).toMatchObject({ hash: hashOf(1), lastError: { atMs: 0 } });
    expect(made.status.lastError?.problems.map(({ message }) => message)).toEqual([
      "not every worker could prepare the configuration: worker 2: exited with code 7",
    ]);
    expect(logged()).toMatchObject([
      { level: "error", msg: "configuration reload rejected; the previous configuration stays active" },
    ]);
    expect([stats.results.by.failure.value, stats.lastSuccessful.value]).toEqual([1, 0]);
    expect([...stats.activeHash.series()]).toEqual([{ labels: [hashOf(1)], value: 1 }]);

    const second = made.reload();
    await expect.poll(() => preparing.length).toBe(2);
    preparing[1]?.answer(prepared);
    await second;
    expect(made.status).toMatchObject({ hash: hashOf(2), lastError: undefined });
    expect([stats.results.by.success.value, stats.lastSuccessful.value]).toEqual([1, 1]);
    expect([...stats.activeHash.series()]).toEqual([{ labels: [hashOf(2)], value: 1 }]);
  });
});
