import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  type ConfigSource,
  createLoader,
  type LoaderOptions,
  noMemory,
  sourceName,
} from "../../src/app/config-source.ts";
import { ConfigThread, type ConfigThreadParts } from "../../src/app/config-thread.ts";
import type { CompiledConfig } from "../../src/config/compiled-config.ts";
import { loadConfigText, type RejectedConfig, type RunnableConfig } from "../../src/config/load.ts";
import { freeAfterTest } from "../kit/freed.ts";
import { mmdb } from "../kit/mmdb.ts";
import { renameOver, temporaryFolder } from "../kit/served.ts";

const yaml = (port: number, more = "") => `
services:
  shop: { versions: { stable: { endpoints: ["http://127.0.0.1:${port}"] }, canary: { endpoints: ["http://127.0.0.1:2"] } } }
  blog: { versions: { stable: { endpoints: ["http://127.0.0.1:3"] } } }
releases: { shop: { split: { stable: 90, canary: 10 } } }
routes:
  - { name: blog, match: { path: { prefix: /blog } }, service: blog }
  - { name: shop, service: shop, release: shop }
${more}`;

/** A thread that loads this file in place of what it holds now, and what is active, which the test may replace. */
async function loading(text: string, parts: Partial<ConfigThreadParts> = {}) {
  const folder = await temporaryFolder();
  const file = join(folder, "perch.yaml");
  await writeFile(file, text);
  return { folder, file, ...(await loadingFrom({ kind: "file", path: file }, parts)) };
}

async function loadingFrom(source: ConfigSource, parts: Partial<ConfigThreadParts> = {}) {
  const options: LoaderOptions = { source, keys: new Map(), env: { PORT: "7" }, hasStateDir: false };
  const loader = createLoader(options, () => Date.now(), noMemory);
  const first = await loader.load();
  if (!first.ok) throw new Error(first.problems[0]?.message);
  const active = { config: first.compiled, hash: first.hash };
  const thread = new ConfigThread({
    name: sourceName(source),
    options: () => options,
    memory: loader.memory(),
    active: () => active,
    ...parts,
  });
  freeAfterTest(() => thread.close());
  const activate = ({ compiled, hash }: RunnableConfig) => Object.assign(active, { config: compiled, hash });
  return { thread, first, options, activate };
}

function loadedOf<T extends RunnableConfig>(result: T | RejectedConfig): T {
  if (!result.ok) throw new Error(result.problems.map(({ message }) => message).join("\n"));
  return result;
}

const problemsOf = (result: RunnableConfig | RejectedConfig) =>
  result.ok ? "it was loaded" : result.problems.map(({ message }) => message).join("\n");

const secretOf = ({ releases }: CompiledConfig) => releases[0]?.sticky.cookie.secrets[0];

describe("a configuration that is loaded in a thread", () => {
  it("is what loading it here gives, with the same hash, warnings and sources", async () => {
    const { thread, file, first } = await loading(yaml(1));
    const text = yaml(1, "# more\nadmin: { address: '127.0.0.1:1', tokenFile: tokens }\n");
    await writeFile(join(file, "..", "tokens"), "a token of thirty-two bytes .....");
    await renameOver(file, text);
    const { hash, warnings, sources, compiled } = loadedOf(await thread.load());
    const here = loadConfigText(text, { file, env: {}, randomSecret: () => new Uint8Array(32) });
    if (!here.ok) throw new Error(here.problems[0]?.message);
    expect([hash, warnings]).toEqual([here.hash, here.warnings]);
    expect(sources).toEqual(structuredClone(here.sources));
    expect(compiled.files).toEqual(here.compiled.files);
    expect(compiled.adminAccess).toEqual(structuredClone(here.compiled.adminAccess));
    expect(hash).not.toBe(first.hash);
  });

  it("keeps the objects of what has not changed, at the first reload and after it", async () => {
    const { thread, file, first, activate } = await loading(yaml(1));
    await renameOver(file, yaml(4));
    const second = loadedOf(await thread.load());
    const kept = ({ compiled }: RunnableConfig, before: RunnableConfig) =>
      compiled.services.map((service, at) => service === before.compiled.services[at]);
    expect(kept(second, first)).toEqual([false, true]);
    expect(second.compiled.routes.map((route, at) => route === first.compiled.routes[at])).toEqual([true, true]);
    activate(second);
    await renameOver(file, yaml(5));
    expect(kept(loadedOf(await thread.load()), second)).toEqual([false, true]);
  });

  it("that was loaded and not activated is no base of the next", async () => {
    const { thread, file, first } = await loading(yaml(1));
    await renameOver(file, yaml(4));
    await thread.load();
    await renameOver(file, yaml(1, "# as before"));
    const { compiled } = loadedOf(await thread.load());
    expect(compiled.services[0]).toBe(first.compiled.services[0]);
  });

  it("keeps random secrets, those of releases that came by a reload too", async () => {
    const { thread, file, first, activate } = await loading(yaml(1));
    const blog = yaml(4).replace("releases: {", "releases: { blog: { split: { stable: 1 } },");
    const changes = [blog, blog.replace("stable: 1 }", "stable: 2 }")];
    const secrets: (Uint8Array | undefined)[] = [];
    for (const text of changes) {
      await renameOver(file, text);
      const loaded = loadedOf(await thread.load());
      activate(loaded);
      expect(loaded.compiled.releases.map(({ name }) => name)).toEqual(["blog", "shop"]);
      expect(loaded.compiled.releases[1]?.sticky.cookie.secrets).toEqual([secretOf(first.compiled)]);
      secrets.push(secretOf(loaded.compiled));
    }
    expect(secrets[0]).toHaveLength(32);
    expect(secrets[1]).toEqual(secrets[0]);
    expect(thread.secrets.get("blog")).toEqual(secrets[0]);
  });

  it("that is invalid has all problems, and the files that it names", async () => {
    const { thread, file } = await loading(yaml(1));
    await renameOver(file, yaml(1, "wieght: 1\nadmin: { address: '127.0.0.1:1', tokenFile: gone }\n"));
    const result = await thread.load();
    expect(problemsOf(result)).toContain('unknown key "wieght"');
    expect(result).toMatchObject({ ok: false, files: [join(file, "..", "gone")] });
  });

  it("reads a database once", async () => {
    const database = join(await temporaryFolder(), "country.mmdb");
    await writeFile(database, mmdb({ "192.0.2.0/24": { country: { iso_code: "CN" } } }));
    const more = `geo: { database: ${database} }\nattributes: { country: { type: string, from: [{ geo: country }] } }\n`;
    const { thread, file, first, activate } = await loading(yaml(1, more));
    await renameOver(file, yaml(4, more));
    const second = loadedOf(await thread.load());
    expect(second.compiled.geo).toBe(first.compiled.geo);
    activate(second);
    await writeFile(database, mmdb({ "192.0.2.0/24": { country: { iso_code: "DE" } } }));
    const { geo } = loadedOf(await thread.load()).compiled;
    expect(geo?.lookup({ text: "192.0.2.1", words: [0, 0, 0xffff, 0xc0000201] })).toMatchObject({ country: "DE" });
  });
});

describe("the thread", () => {
  const entry = new URL("./ending-loader.ts", import.meta.url);
  const instead = (text: string, parts: Partial<ConfigThreadParts> = {}) => {
    const source: ConfigSource = { kind: "text", name: "perch.yaml", text };
    const first = loadConfigText(yaml(1), { file: "perch.yaml", env: {}, randomSecret: () => new Uint8Array(32) });
    if (!first.ok) throw new Error(first.problems[0]?.message);
    const active = { config: { ...first.compiled, files: ["/run/secret"] }, hash: first.hash };
    const options: LoaderOptions = { source, keys: new Map(), env: {}, hasStateDir: false };
    const thread = new ConfigThread({
      name: sourceName(source),
      options: () => options,
      memory: noMemory,
      active: () => active,
      entry,
      ...parts,
    });
    freeAfterTest(() => thread.close());
    return thread;
  };

  it("ends when it was idle for a while, and starts again with the next load", async () => {
    const { thread } = await loading(yaml(1), { idleMs: 1 });
    loadedOf(await thread.load());
    await expect.poll(() => thread.isRunning).toBe(false);
    loadedOf(await thread.load());
  });

  it.each([
    ["end", "the thread that loaded it ended, so loading was aborted"],
    ["fail", "it could not be loaded (a bug in Perch): a fault of the test"],
    ["confuse", expect.stringContaining("(a bug in Perch): TypeError: the configuration was prepared for another")],
  ])("that does not load it rejects the reload, and the files stay watched: %s", async (text, why) => {
    const thread = instead(text);
    for (let time = 0; time < 2; time++) {
      const result = await thread.load();
      expect(problemsOf(result)).toEqual(why);
      expect(result).toMatchObject({ files: ["/run/secret"] });
    }
  });

  it("that takes too long is ended", async () => {
    const thread = instead("wait", { timeLimitMs: 50 });
    expect(problemsOf(await thread.load())).toBe("it took longer than 0.05 s to load, so loading was aborted");
    expect(thread.isRunning).toBe(false);
  });

  it("ends with Perch, and so does the load", async () => {
    const thread = instead("wait");
    const result = thread.load();
    await expect.poll(() => thread.isRunning).toBe(true);
    await thread.close();
    expect([problemsOf(await result), thread.isRunning]).toEqual(["Perch is stopping", false]);
  });
});
