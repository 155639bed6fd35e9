/** @module-tag slow */
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import type { ServerResponse } from "node:http";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { setImmediate } from "node:timers/promises";
import { expect, test } from "vitest";
import { podAccess } from "../../src/kubernetes/api-access.ts";
import { ApiClient } from "../../src/kubernetes/api-client.ts";
import { type DataObjectId, DataObjectWatch, valueIn } from "../../src/kubernetes/data-object.ts";
import { scheduleUnref } from "../../src/upstream/clock.ts";
import { freeAfterTest } from "../kit/freed.ts";
import { KubernetesApi } from "../kit/kubernetes-api.ts";

const key = "perch.yaml";

interface Followed {
  readonly kind?: DataObjectId["kind"];
  readonly watchWithinMs?: number;
  readonly monotonicMs?: () => number;
}

/** What Perch heard of a key of a ConfigMap or Secret, with retries that do not wait. */
async function following(api: KubernetesApi, options: Followed = {}) {
  const { kind = "configmap", monotonicMs = () => performance.now(), ...others } = options;
  const { folder, env } = await api.pod();
  const access = podAccess(env, monotonicMs, folder);
  const id = { kind, namespace: "shop", name: "perch" };
  const heard: unknown[] = [];
  const troubles: (string | undefined)[] = [];
  const pauses: number[] = [];
  const object = new DataObjectWatch({
    client: new ApiClient(access),
    id,
    timers: {
      nowMs: () => Date.now(),
      monotonicMs: () => performance.now(),
      schedule(ms, callback) {
        pauses.push(ms);
        return scheduleUnref(1, callback);
      },
    },
    randomFraction: () => 1,
    onObject: (object) => void heard.push(readable(valueIn(object, id, key))),
    onTrouble: (why) => void troubles.push(why),
    ...others,
  });
  freeAfterTest(async () => {
    await object.close();
    await access.close();
  });
  return { folder, heard, troubles, pauses };
}

function readable(value: ReturnType<typeof valueIn>) {
  if (value.kind === "missing") return value;
  const { kind, bytes, resourceVersion } = value;
  return { kind, text: Buffer.from(bytes).toString(), resourceVersion };
}

async function started(options?: Followed) {
  const api = await KubernetesApi.start();
  const first = api.setConfigMap("shop", "perch", { "perch.yaml": "one" });
  const follower = await following(api, options);
  await expect.poll(() => api.watches).toBe(1);
  return { api, first, ...follower };
}

const found = (text: string, resourceVersion: string) => ({ kind: "found", text, resourceVersion });

test("the text, and each change of it within a second", async () => {
  const { api, first, heard, troubles } = await started();
  expect(heard).toEqual([found("one", first)]);
  const second = api.setConfigMap("shop", "perch", { "perch.yaml": "two" });
  await expect.poll(() => heard.at(-1), { timeout: 1_000 }).toEqual(found("two", second));
  expect(troubles).toEqual([]);
});

test("only the object of that name is asked for, so that a Role can name it", async () => {
  const { api, heard } = await started();
  api.setConfigMap("shop", "other", { "perch.yaml": "other" });
  const second = api.setConfigMap("shop", "perch", { "perch.yaml": "two" });
  await expect.poll(() => heard.length).toBe(2);
  expect(heard.at(-1)).toEqual(found("two", second));
  for (const url of api.requests) expect(url).toContain("fieldSelector=metadata.name%3Dperch");
});

test("a Secret's value is decoded", async () => {
  const api = await KubernetesApi.start();
  const version = api.setSecret("shop", "perch", { "perch.yaml": "größer" });
  const { heard } = await following(api, { kind: "secret" });
  await expect.poll(() => heard).toEqual([found("größer", version)]);
});

test("a value need not be UTF-8: in a Secret, and in the binaryData of a ConfigMap", () => {
  const metadata = { name: "perch", namespace: "shop", resourceVersion: "1" };
  const bytes = Uint8Array.of(0x61, 0xff);
  const base64 = Buffer.from(bytes).toString("base64");
  const id = { namespace: "shop", name: "perch" };
  const found = { kind: "found", bytes, resourceVersion: "1" };
  expect(valueIn({ metadata, data: { key: base64 } }, { kind: "secret", ...id }, "key")).toEqual(found);
  expect(valueIn({ metadata, binaryData: { key: base64 } }, { kind: "configmap", ...id }, "key")).toEqual(found);
});

test("a key with the name of a property that every object has is none", () => {
  const object = { metadata: { name: "perch", namespace: "shop", resourceVersion: "1" }, data: { key: "" } };
  const why = "the Secret shop/perch has no key constructor: it has key";
  const id = { kind: "secret", namespace: "shop", name: "perch" } as const;
  expect(valueIn(object, id, "constructor")).toEqual({ kind: "missing", why });
});

test("a missing object, a missing key, and both later", async () => {
  const api = await KubernetesApi.start();
  const { heard } = await following(api);
  await expect.poll(() => heard).toEqual([{ kind: "missing", why: "the ConfigMap shop/perch does not exist" }]);
  api.setConfigMap("shop", "perch", { "other.yaml": "" });
  const why = "the ConfigMap shop/perch has no key perch.yaml: it has other.yaml";
  await expect.poll(() => heard.at(-1)).toEqual({ kind: "missing", why });
  const version = api.setConfigMap("shop", "perch", { "perch.yaml": "one" });
  await expect.poll(() => heard.at(-1)).toEqual(found("one", version));
  api.deleteConfigMap("shop", "perch");
  await expect.poll(() => heard.at(-1)).toMatchObject({ kind: "missing" });
});

test.each(["ended", "broken"] as const)("a watch that is %s goes on from where it was", async (how) => {
  const { api, heard } = await started();
  api.sendBookmarks();
  api.endWatches(how);
  const second = api.setConfigMap("shop", "perch", { "perch.yaml": "two" });
  await expect.poll(() => heard.at(-1)).toEqual(found("two", second));
  expect(api.requests.filter((url) => !url.includes("watch=true"))).toHaveLength(1);
});

test("a bookmark's version is where the next watch begins, so it is not too old", async () => {
  const { api, heard, troubles } = await started();
  for (let at = 0; at < 3; at++) api.setConfigMap("shop", "other", { at: String(at) });
  api.compact();
  api.sendBookmarks();
  await expect.poll(() => api.requests.length).toBe(2);
  api.endWatches();
  const second = api.setConfigMap("shop", "perch", { "perch.yaml": "two" });
  await expect.poll(() => heard.at(-1)).toEqual(found("two", second));
  expect(api.requests.filter((url) => !url.includes("watch=true"))).toHaveLength(1);
  expect(troubles).toEqual([]);
});

test.each(["refused", "told in the stream"])("a version that is too old (410, %s) is listed anew", async (how) => {
  const { api, heard, troubles } = await started();
  if (how === "refused") {
    api.setConfigMap("shop", "other", {});
    api.compact();
    api.endWatches();
  } else {
    api.sendError(410, "too old resource version");
  }
  await expect.poll(() => api.requests.filter((url) => !url.includes("watch=true")).length).toBe(2);
  const second = api.setConfigMap("shop", "perch", { "perch.yaml": "two" });
  await expect.poll(() => heard.at(-1)).toEqual(found("two", second));
  expect(troubles).toEqual([]);
});

test("while the API is away nothing changes; afterwards all is known again", async () => {
  const { api, heard, troubles, pauses } = await started();
  api.away();
  await expect.poll(() => troubles.length).toBeGreaterThan(3);
  expect(heard).toHaveLength(1);
  expect(troubles[0]).toMatch(/ECONNREFUSED|other side closed|socket/i);
  expect(pauses.slice(0, 4)).toEqual([250, 500, 1_000, 2_000]);
  await expect.poll(() => Math.max(...pauses)).toBe(15_000);
  const second = api.setConfigMap("shop", "perch", { "perch.yaml": "two" });
  await api.back();
  await expect.poll(() => heard.at(-1)).toEqual(found("two", second));
  expect(troubles.at(-1)).toBeUndefined();
});

test("a refusal is told with the API's own words, and Retry-After is kept", async () => {
  const api = await KubernetesApi.start();
  const forbidden = 'configmaps is forbidden: User "system:serviceaccount:shop:perch" cannot list resource';
  api.refuse(
    { status: 403, reason: forbidden },
    { status: 429, reason: "too many requests", headers: { "retry-after": "7" } },
  );
  const version = api.setConfigMap("shop", "perch", { "perch.yaml": "one" });
  const { heard, troubles, pauses } = await following(api);
  await expect.poll(() => heard).toEqual([found("one", version)]);
  expect(troubles).toEqual([`403: ${forbidden}`, "429: too many requests", undefined]);
  expect(pauses).toEqual([250, 7_000]);
});

test("watches that end at once are not asked for without a pause", async () => {
  const { api, pauses } = await started();
  for (let ended = 1; ended <= 3; ended++) {
    api.endWatches();
    await expect.poll(() => pauses).toEqual(Array.from({ length: ended }, () => 250));
    await expect.poll(() => api.watches).toBe(1);
  }
});

test("a watch that hears nothing for too long is renewed, and what it missed is known", async () => {
  const { api, heard, troubles } = await started({ watchWithinMs: 200 });
  api.stick();
  const second = api.setConfigMap("shop", "perch", { "perch.yaml": "two" });
  await expect.poll(() => troubles).toContain("the watch did not end within 0.2 s");
  expect(heard).toHaveLength(1);
  api.unstick();
  await expect.poll(() => heard.at(-1)).toEqual(found("two", second));
  await expect.poll(() => troubles.at(-1)).toBeUndefined();
});

test("a token is read again each minute, before the old one expires", async () => {
  let nowMs = 0;
  const { api, folder, heard, troubles } = await started({ monotonicMs: () => nowMs });
  await writeFile(join(folder, "token"), "renewed\n");
  api.acceptToken("renewed");
  nowMs += 60_000;
  api.endWatches();
  const second = api.setConfigMap("shop", "perch", { "perch.yaml": "two" });
  await expect.poll(() => heard.at(-1)).toEqual(found("two", second));
  expect(troubles).toEqual([]);
});

test("a token that is refused is read again at once", async () => {
  const { api, folder, heard, troubles } = await started({ monotonicMs: () => 0 });
  api.acceptToken("renewed");
  api.endWatches();
  await expect.poll(() => troubles[0]).toBe("401: Unauthorized");
  await writeFile(join(folder, "token"), "renewed\n");
  const second = api.setConfigMap("shop", "perch", { "perch.yaml": "two" });
  await expect.poll(() => heard.at(-1)).toEqual(found("two", second));
  expect(troubles.at(-1)).toBeUndefined();
});

const event = (text: string, version: string) =>
  `${JSON.stringify({ type: "MODIFIED", object: { metadata: { name: "perch", namespace: "shop", resourceVersion: version }, data: { [key]: text } } })}\n`;

test("an event that comes byte by byte is one event", async () => {
  const { api, heard, troubles } = await started();
  api.answerOnce(async (response) => {
    for (const byte of Buffer.from(event("größer", "900"))) {
      if (!response.write(Uint8Array.of(byte))) await once(response, "drain");
      await setImmediate();
    }
  });
  api.endWatches();
  await expect.poll(() => heard.at(-1)).toEqual(found("größer", "900"));
  expect(troubles).toEqual([]);
});

test.each([
  ["is no JSON", "<html>\n", /Unexpected token/],
  ["has no object", '{"type":"MODIFIED"}\n', /metadata/],
  ["is an object of nothing", "7\n", /metadata|undefined/],
] as const)("an event that %s is trouble, after which all is known again", async (_, line, why) => {
  const { api, heard, troubles } = await started();
  api.answerOnce((response) => void response.write(line));
  api.endWatches();
  const second = api.setConfigMap("shop", "perch", { "perch.yaml": "two" });
  await expect.poll(() => heard.at(-1)).toEqual(found("two", second));
  expect(troubles).toEqual([expect.stringMatching(why), undefined]);
});

const brokenLists: readonly (readonly [string, (response: ServerResponse) => void])[] = [
  ["ends in its middle", (response) => response.write('{"metadata":', () => response.destroy())],
  ["is no JSON", (response) => response.end("<html>")],
  ["is JSON of another kind", (response) => response.end("[]")],
  ["is null", (response) => response.end("null")],
];

test.each(brokenLists)("a list that %s is trouble, and asked for again", async (_, answer) => {
  const api = await KubernetesApi.start();
  const version = api.setConfigMap("shop", "perch", { "perch.yaml": "one" });
  api.answerOnce(answer);
  const { heard, troubles } = await following(api);
  await expect.poll(() => heard).toEqual([found("one", version)]);
  expect(troubles).toEqual([expect.any(String), undefined]);
});

test("a list without end is given up at 16 MiB", async () => {
  const api = await KubernetesApi.start();
  const version = api.setConfigMap("shop", "perch", { "perch.yaml": "one" });
  api.answerOnce(async (response) => {
    const piece = " ".repeat(1024 * 1024);
    while (!response.destroyed) {
      if (!response.write(piece)) await Promise.race([once(response, "drain"), once(response, "close")]);
    }
  });
  const { heard, troubles } = await following(api);
  await expect.poll(() => heard, { timeout: 5_000 }).toEqual([found("one", version)]);
  expect(troubles[0]).toBe("the answer is larger than 16777216 bytes");
});
