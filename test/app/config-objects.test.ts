import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ConfigCache } from "../../src/app/kubernetes/config-cache.ts";
import { ConfigObjects } from "../../src/app/kubernetes/config-objects.ts";
import { createLogger, type Logger } from "../../src/observe/log.ts";
import { freeAfterTest } from "../kit/freed.ts";
import { KubernetesApi } from "../kit/kubernetes-api.ts";
import { soon, temporaryFolder } from "../kit/served.ts";

const log: Logger = createLogger({ level: "silent", nowMs: () => 0 });

/** The objects of a configuration that names these keys, and how often they called for a load. */
async function naming(api: KubernetesApi, references: readonly string[], maxObjects?: number) {
  const env = { KUBECONFIG: await api.kubeconfig() };
  const objects = await ConfigObjects.open({
    source: { kind: "text", name: "perch.yaml", text: "" },
    ...{ env, log },
    ...(maxObjects === undefined ? {} : { maxObjects }),
  });
  freeAfterTest(() => objects.close());
  const taken: ReturnType<typeof objects.take>[] = [];
  const load = (names = references) =>
    objects.load(async () => {
      taken.push(objects.take());
      return { ok: true, compiled: { files: ["/etc/perch/users.txt", ...names] } };
    });
  await load();
  let calls = 0;
  objects.onChange(() => {
    calls++;
  });
  const values = () => Array.from(taken.at(-1)?.values() ?? [], (value) => textOf(value));
  return { load, loads: () => taken.length, values, calls: () => calls };
}

function textOf(value: { readonly bytes?: Uint8Array; readonly why?: string }) {
  return value.bytes === undefined ? value.why : Buffer.from(value.bytes).toString();
}

const key = (name: string, of = "key") => `kubernetes://secret/shop/${name}/${of}`;

test("keys are read once they are named, and then loaded", async () => {
  const api = await KubernetesApi.start();
  api.setSecret("shop", "a", { key: "one", other: "two" });
  const { loads, values } = await naming(api, [key("a"), key("a", "other")]);
  expect(values()).toEqual(["one", "two"]);
  expect(loads()).toBe(2);
  expect(api.requests.filter((url) => !url.includes("watch=true"))).toHaveLength(1);
});

test("a change of an object calls for a load only if it changes what is named of it", async () => {
  const api = await KubernetesApi.start();
  api.setSecret("shop", "a", { key: "one" });
  api.setSecret("shop", "b", { key: "one" });
  const { load, values, calls } = await naming(api, [key("a"), key("b")]);
  await expect.poll(() => api.watches).toBe(2);
  api.setSecret("shop", "a", { key: "one", other: "1" });
  api.setSecret("shop", "b", { key: "two" });
  await expect.poll(calls, soon).toBe(1);
  await load();
  expect(values()).toEqual(["one", "two"]);
  api.setSecret("shop", "a", { key: "two" });
  await expect.poll(calls, soon).toBe(2);
});

test("more objects than a configuration may name are not followed, and say so", async () => {
  const api = await KubernetesApi.start();
  for (const name of ["a", "b", "c"]) api.setSecret("shop", name, { key: name });
  const { values } = await naming(api, [key("a"), key("b"), key("c")], 2);
  expect(values()).toEqual(["a", "b", "the configuration names more than 2 ConfigMaps and Secrets"]);
});

const contents = (keys: Readonly<Record<string, string>>) =>
  new Map(Object.entries(keys).map(([reference, text]) => [reference, new TextEncoder().encode(text)]));

test("the cache has the keys that are named, and no others, and needs no file where none is named", async () => {
  const file = join(await temporaryFolder(), "cache");
  const cache = await ConfigCache.open(file, log);
  cache.keep({ text: "one", keys: contents({ [key("a")]: "x", [key("b")]: "y" }) });
  cache.keep({ text: "two", keys: contents({ [key("b")]: "z" }) });
  await cache.close();
  const { kept } = await ConfigCache.open(file, log);
  expect(kept).toEqual({ text: "two", keys: contents({ [key("b")]: "z" }) });
  cache.keep({ text: "two", keys: new Map() });
  await cache.close();
  await expect(readFile(`${file}.secrets`)).rejects.toThrow("ENOENT");
});

test.each(["{", '{"kubernetes://secret/shop/a/key":[7]}', "null"])(
  "a damaged cache of Secrets (%s) is not used",
  async (text) => {
    const file = join(await temporaryFolder(), "cache");
    await writeFile(`${file}.secrets`, text);
    await writeFile(file, "one");
    expect((await ConfigCache.open(file, log)).kept).toEqual({ text: "one", keys: new Map() });
  },
);

test("where the text cannot be written, the keys of the one that is there stay", async () => {
  const file = join(await temporaryFolder(), "cache");
  const cache = await ConfigCache.open(file, log);
  cache.keep({ text: "one", keys: contents({ [key("a")]: "x" }) });
  await cache.close();
  // What is written first has this name.
  await mkdir(`${file}.new`);
  const blocked = await ConfigCache.open(file, log);
  blocked.keep({ text: "two", keys: contents({ [key("b")]: "y" }) });
  await blocked.close();
  const { kept } = await ConfigCache.open(file, log);
  expect(kept).toEqual({ text: "one", keys: contents({ [key("a")]: "x", [key("b")]: "y" }) });
});
