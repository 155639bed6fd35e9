import { describe, expect, test } from "vitest";
import { stateObject as object, sharedConfigMap } from "./config-map-writers.ts";

const termAnnotation = "perch.dev/term";
const content = (text: string) => ({ data: { text }, binaryData: {} });

async function shared() {
  const { api, writer } = await sharedConfigMap();
  const term = () => api.object(object)?.metadata.annotations?.[termAnnotation];
  const arrived = async (what: RegExp, before: number) =>
    expect.poll(() => api.requests.slice(before).some((request) => what.test(request))).toBe(true);
  return { api, writer, term, arrived };
}

describe("a fenced ConfigMap", () => {
  test("is not taken over by who was told in the meantime that it may not write", async () => {
    const { api, writer, term, arrived } = await shared();
    const [one, other] = [await writer("one"), await writer("other")];
    api.setConfigMap("shop", "state", { text: "first" });
    await expect.poll(() => one.seen.at(-1)).toBe("first of undefined");
    api.delay(200);
    const before = api.requests.length;
    const late = one.map.takeOver("term 1");
    await arrived(/configmaps\/state/, before);
    // The lease goes to the other one.
    one.map.handOver();
    api.delay(0);
    await other.map.takeOver("term 2");
    await expect(late).rejects.toThrow("may not write");
    expect(term()).toBe("term 2");
    expect(await one.map.save(content("late"))).toEqual({ kind: "fenced" });
    expect(await other.map.save(content("second"))).toEqual({ kind: "saved" });
  });

  test("that one process takes over twice is of the later term", async () => {
    const { api, writer, term } = await shared();
    const { map } = await writer("one");
    api.setConfigMap("shop", "state", { text: "first" });
    const [first, second] = await Promise.allSettled([map.takeOver("term 1"), map.takeOver("term 2")]);
    expect([first.status, second.status]).toEqual(["rejected", "fulfilled"]);
    expect(term()).toBe("term 2");
    expect(await map.save(content("second"))).toEqual({ kind: "saved" });
    expect(term()).toBe("term 2");
  });

  test("is not written again after a save during which it was handed over", async () => {
    const { api, writer, arrived } = await shared();
    const { map } = await writer("one");
    await map.takeOver("term 1");
    api.delayAnswers(200);
    const before = api.requests.length;
    const saving = map.save(content("first"));
    await arrived(/PUT/, before);
    map.handOver();
    expect(await saving).toEqual({ kind: "saved" });
    expect(await map.save(content("second"))).toEqual({ kind: "fenced" });
    expect(api.object(object)?.data).toEqual({ text: "first" });
  });

  test("that somebody deletes is made again by who may write it", async () => {
    const { api, writer, term } = await shared();
    const { map } = await writer("one");
    await map.takeOver("term 1");
    expect(await map.save(content("first"))).toEqual({ kind: "saved" });
    api.remove(object);
    expect(await map.save(content("second"))).toEqual({ kind: "saved" });
    expect(api.object(object)?.data).toEqual({ text: "second" });
    expect(term()).toBe("term 1");
  });

  test("that somebody put back without its term is written on", async () => {
    const { api, writer, term } = await shared();
    const { map } = await writer("one");
    await map.takeOver("term 1");
    expect(await map.save(content("first"))).toEqual({ kind: "saved" });
    api.put(object);
    expect(await map.save(content("second"))).toEqual({ kind: "saved" });
    expect(api.object(object)?.data).toEqual({ text: "second" });
    expect(term()).toBe("term 1");
  });

  test("that somebody damaged is left as it is, until it is repaired and taken over anew", async () => {
    const { api, writer } = await shared();
    const { map } = await writer("one");
    await map.takeOver("term 1");
    api.put({ ...object, data: { text: "damaged" } });
    expect(await map.save(content("first"))).toEqual({ kind: "unusable", why: "it is damaged" });
    expect(await map.save(content("second"))).toEqual({ kind: "unusable", why: "it is damaged" });
    expect(api.object(object)?.data).toEqual({ text: "damaged" });
    api.put({ ...object, data: { text: "repaired" } });
    expect((await map.takeOver("term 1")).data).toEqual({ text: "repaired" });
    expect(await map.save(content("third"))).toEqual({ kind: "saved" });
  });

  test("whose versions go back, as of an API that was restored from a backup, is told as it is then", async () => {
    const { api, writer } = await shared();
    const [one, other] = [await writer("one"), await writer("other")];
    await one.map.takeOver("term 1");
    expect(await one.map.save(content("first"))).toEqual({ kind: "saved" });
    const restore = api.backup();
    expect(await one.map.save(content("second"))).toEqual({ kind: "saved" });
    expect(await one.map.save(content("third"))).toEqual({ kind: "saved" });
    await expect.poll(() => one.seen.at(-1)).toBe("third of term 1");
    await expect.poll(() => api.watches).toBe(2);
    restore();
    await expect.poll(() => one.seen.at(-1)).toBe("first of term 1");
    one.map.handOver();
    await other.map.takeOver("term 2");
    await expect.poll(() => one.seen.at(-1)).toBe("first of term 2");
    expect(await other.map.save(content("fourth"))).toEqual({ kind: "saved" });
    await expect.poll(() => one.seen.at(-1)).toBe("fourth of term 2");
  });

  test("tells its writer nothing of what was there before it took over", async () => {
    const { api, writer } = await shared();
    const [one, other] = [await writer("one"), await writer("other")];
    await other.map.takeOver("term 1");
    await expect.poll(() => one.seen.length).toBeGreaterThan(0);
    await expect.poll(() => api.watches).toBe(2);
    api.stick();
    expect(await other.map.save(content("first"))).toEqual({ kind: "saved" });
    await one.map.takeOver("term 2");
    expect(await one.map.save(content("second"))).toEqual({ kind: "saved" });
    const before = one.seen.length;
    api.unstick();
    api.endWatches();
    await expect.poll(() => one.seen.at(-1)).toBe("second of term 2");
    expect(one.seen.slice(before)).toEqual(["second of term 2"]);
  });
});
