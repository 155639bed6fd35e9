import type { ServerResponse } from "node:http";
import { performance } from "node:perf_hooks";
import { expect, test } from "vitest";
import { podAccess } from "../../src/kubernetes/api-access.ts";
import { ApiClient, type ApiObject } from "../../src/kubernetes/api-client.ts";
import { ListWatch } from "../../src/kubernetes/list-watch.ts";
import { scheduleUnref } from "../../src/upstream/clock.ts";
import { freeAfterTest } from "../kit/freed.ts";
import { KubernetesApi } from "../kit/kubernetes-api.ts";

/** All ConfigMaps of a namespace of three, in pages of one, after these answers. */
async function listing(expiries: number, answers: readonly ((response: ServerResponse) => void)[] = []) {
  const api = await KubernetesApi.start();
  for (const name of ["a", "b", "c"]) api.setConfigMap("shop", name, {});
  api.pages(1);
  api.expireContinuations(expiries);
  for (const answer of answers) api.answerOnce(answer);
  const { folder, env } = await api.pod();
  const access = podAccess(env, () => performance.now(), folder);
  const heard: string[][] = [];
  const troubles: (string | undefined)[] = [];
  const pauses: number[] = [];
  const watch = new ListWatch<ApiObject>({
    client: new ApiClient(access),
    path: "/api/v1/namespaces/shop/configmaps",
    timers: {
      nowMs: () => Date.now(),
      monotonicMs: () => performance.now(),
      schedule(ms, callback) {
        pauses.push(ms);
        return scheduleUnref(1, callback);
      },
    },
    randomFraction: () => 1,
    onObjects: (objects) => void heard.push([...objects.keys()]),
    onTrouble: (why) => void troubles.push(why),
  });
  freeAfterTest(async () => {
    await watch.close();
    await access.close();
  });
  return { api, heard, troubles, pauses };
}

const all = ["shop/a", "shop/b", "shop/c"];

test("a list comes in pages, and is heard of as a whole", async () => {
  const { api, heard, troubles } = await listing(0);
  await expect.poll(() => heard).toEqual([all]);
  expect(api.requests.filter((url) => !url.includes("watch=true"))).toHaveLength(3);
  expect(troubles).toEqual([]);
});

test("a list that expires between two pages (410) begins anew, and nothing of it is heard of before", async () => {
  const { api, heard, troubles } = await listing(2);
  await expect.poll(() => heard).toEqual([all]);
  expect(api.requests.filter((url) => !url.includes("watch=true"))).toHaveLength(2 + 2 + 3);
  expect(troubles).toEqual([]);
});

test("lists that always expire are trouble, and asked for less and less often", async () => {
  const { heard, troubles, pauses } = await listing(6);
  await expect.poll(() => heard).toEqual([all]);
  expect(troubles).toEqual([...Array<string>(3).fill("410: The provided continue parameter is too old"), undefined]);
  expect(pauses.slice(0, 6)).toEqual([250, 500, 1_000, 2_000, 4_000, 8_000]);
});

const page = (token: string) => (response: ServerResponse) => {
  const metadata = { resourceVersion: "1", continue: token };
  response.end(JSON.stringify({ metadata, items: [] }));
};

test.each([
  ["come to the same place again", ["x", "y", "x"], "the list does not end: it goes on from where it was before"],
  [
    "go on without end",
    Array.from({ length: 1_000 }, (_, at) => `page ${at}`),
    "the list does not end: it has more than 1000 pages",
  ],
])("pages that %s are trouble, and asked for again after a pause", async (_, tokens, why) => {
  const { api, heard, troubles, pauses } = await listing(0, tokens.map(page));
  await expect.poll(() => heard).toEqual([all]);
  expect(troubles).toEqual([why, undefined]);
  expect(pauses[0]).toBe(250);
  expect(api.requests.filter((url) => !url.includes("watch=true"))).toHaveLength(tokens.length + 3);
});
