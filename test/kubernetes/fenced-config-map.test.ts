import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { stateObject as object, sharedConfigMap } from "./config-map-writers.ts";

const content = (text: string) => ({ data: { text }, binaryData: { bytes: Buffer.from([0, 255]) } });

describe("a fenced ConfigMap", () => {
  test("is written by who took it over, and read by all", async () => {
    const { api, writer } = await sharedConfigMap();
    const [one, other] = [await writer("one"), await writer("other")];
    expect(await one.map.takeOver("term 1")).toEqual({ data: {}, binaryData: {} });
    expect(await one.map.save(content("first"))).toEqual({ kind: "saved" });
    await expect.poll(() => other.seen.at(-1)).toBe("first of term 1");
    expect(api.object(object)).toMatchObject({ data: { text: "first" }, binaryData: { bytes: "AP8=" } });
    const found = await other.map.takeOver("term 2");
    expect(found.data).toEqual({ text: "first" });
    expect([...(found.binaryData["bytes"] ?? [])]).toEqual([0, 255]);
  });

  test("is not written any more by who held it before", async () => {
    const { api, writer } = await sharedConfigMap();
    const [one, other] = [await writer("one"), await writer("other")];
    await one.map.takeOver("term 1");
    await one.map.save(content("first"));
    await other.map.takeOver("term 2");
    expect(await one.map.save(content("late"))).toEqual({ kind: "fenced" });
    expect(await one.map.save(content("later"))).toEqual({ kind: "fenced" });
    expect(await other.map.save(content("second"))).toEqual({ kind: "saved" });
    expect(api.object(object)).toMatchObject({ data: { text: "second" } });
    expect(api.writes.filter(({ account, status }) => account === "one" && status < 300)).toHaveLength(2);
  });

  test("is not written by who never took it over", async () => {
    const { api, writer } = await sharedConfigMap();
    const { map } = await writer("one");
    expect(await map.save(content("first"))).toEqual({ kind: "fenced" });
    expect(api.writes).toEqual([]);
  });

  test("goes on with its writer after a write whose answer was lost, and after a note of somebody else", async () => {
    const { api, writer } = await sharedConfigMap();
    const { map } = await writer("one");
    await map.takeOver("term 1");
    const now = api.object(object);
    if (now === undefined) throw new Error("no ConfigMap");
    api.put({ ...now, metadata: { ...now.metadata, labels: { noted: "yes" } } });
    expect(await map.save(content("first"))).toEqual({ kind: "saved" });
    expect(api.object(object)).toMatchObject({ data: { text: "first" }, metadata: { labels: { noted: "yes" } } });
  });

  test("is written if the write was done and only its answer was lost", async () => {
    const { api, writer } = await sharedConfigMap();
    const { map } = await writer("one");
    await map.takeOver("term 1");
    api.loseAnswers(1);
    expect(await map.save(content("first"))).toEqual({ kind: "saved" });
    expect(api.object(object)).toMatchObject({ data: { text: "first" } });
    expect(await map.save(content("second"))).toEqual({ kind: "saved" });
    expect(api.writes.map(({ status }) => status)).toEqual([201, 200, 200]);
  });

  test("whose API refuses is not written, and its writer may try again", async () => {
    const { api, writer } = await sharedConfigMap();
    const { map } = await writer("one");
    await map.takeOver("term 1");
    await expect.poll(() => api.watches).toBe(1);
    api.refuse({ status: 403, reason: "not yours" });
    expect(await map.save(content("first"))).toEqual({ kind: "failed", why: "403: not yours" });
    expect(await map.save(content("second"))).toEqual({ kind: "saved" });
  });

  test("whose API fails once is written all the same", async () => {
    const { api, writer } = await sharedConfigMap();
    const { map } = await writer("one");
    await map.takeOver("term 1");
    await expect.poll(() => api.watches).toBe(1);
    api.refuse({ status: 500, reason: "no leader" });
    expect(await map.save(content("first"))).toEqual({ kind: "saved" });
    expect(api.object(object)).toMatchObject({ data: { text: "first" } });
  });

  test("is not said to be as it was before if the API is lost in the middle of a write", async () => {
    const { api, writer } = await sharedConfigMap();
    const { map } = await writer("one");
    await map.takeOver("term 1");
    api.cutOffAfterWrite(/configmaps/);
    expect(await map.save(content("first"))).toMatchObject({ kind: "unknown" });
    expect(await map.save(content("first"))).toMatchObject({ kind: "unknown" });
    expect(api.object(object)).toMatchObject({ data: { text: "first" } });
    api.letBack("one");
    expect(await map.save(content("first"))).toEqual({ kind: "saved" });
    expect(await map.save(content("second"))).toEqual({ kind: "saved" });
  });

  test("that cannot be sent is known to be as it was before", async () => {
    const { api, writer } = await sharedConfigMap();
    const { map } = await writer("one");
    await map.takeOver("term 1");
    api.away();
    // Until the connection is known to be gone.
    await delay(100);
    expect(await map.save(content("first"))).toMatchObject({
      kind: "failed",
      why: expect.stringContaining("ECONNREFUSED"),
    });
    await api.back();
    expect(await map.save(content("first"))).toEqual({ kind: "saved" });
  });

  test("that another took over after such a write is not said to be without it either", async () => {
    const { api, writer } = await sharedConfigMap();
    const [one, other] = [await writer("one"), await writer("other")];
    await one.map.takeOver("term 1");
    api.cutOffAfterWrite(/configmaps/);
    expect(await one.map.save(content("first"))).toMatchObject({ kind: "unknown" });
    expect((await other.map.takeOver("term 2")).data).toEqual({ text: "first" });
    expect(await other.map.save(content("second"))).toEqual({ kind: "saved" });
    api.letBack("one");
    expect(await one.map.save(content("first"))).toMatchObject({ kind: "unknown" });
    expect(await one.map.save(content("first"))).toEqual({ kind: "fenced" });
    expect(api.object(object)).toMatchObject({ data: { text: "second" } });
  });
});
