/** @module-tag slow */
import { once } from "node:events";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { ConfigMapVolume } from "../kit/configmap-volume.ts";
import { rawClient, rawUpstream, upstream } from "../kit/freed.ts";
import { requestsTotal } from "../kit/one-service.ts";
import type { TestPerch } from "../kit/perch.ts";
import { changeablePerch, freePorts, perchOn, renameOver, soon, temporaryFolder } from "../kit/served.ts";

const shopAt = (origin: string, more = "") => `${freePorts}${more}
services: { shop: { versions: { stable: { endpoints: ["${origin}"] } } } }
routes: [{ name: all, service: shop }]
`;

const body = async (perch: TestPerch) => (await fetch(perch.origin)).text();
const loads = (perch: TestPerch) => perch.metric('perch_config_reloads_total{result="success"}');
const refusals = (perch: TestPerch) => perch.metric('perch_config_reloads_total{result="failure"}');
const lastSuccessful = (perch: TestPerch) => perch.metric("perch_config_last_reload_successful");

/** The keys of `/api/config` that are used here. */
interface ConfigStatus {
  readonly active: { readonly hash: string };
  readonly lastError: { readonly text: string; readonly problems: readonly unknown[] } | null;
}

interface Replaceable {
  readonly path: string;
  replace(text: string): Promise<void>;
}

describe("a changed file is reloaded, each time", () => {
  it.each<{ how: string; make: (folder: string, text: string) => Replaceable }>([
    {
      how: "the kubelet swaps ..data",
      make(folder, text) {
        const volume = new ConfigMapVolume(join(folder, "volume"), { "perch.yaml": text });
        return {
          path: volume.path("perch.yaml"),
          replace: async (next) => volume.update({ "perch.yaml": next }),
        };
      },
    },
    {
      how: "an editor renames a new file over it",
      make(folder, text) {
        const path = join(folder, "perch.yaml");
        writeFileSync(path, text);
        return { path, replace: (next) => renameOver(path, next) };
      },
    },
    {
      how: "an editor writes into it",
      make(folder, text) {
        const path = join(folder, "perch.yaml");
        writeFileSync(path, text);
        return { path, replace: async (next) => writeFileSync(path, next) };
      },
    },
  ])("$how", async ({ make }) => {
    const [one, two] = [await upstream("one"), await upstream("two")];
    const { path, replace } = make(await temporaryFolder(), shopAt(one.origin));
    const perch = await perchOn(path);
    expect(await body(perch)).toBe("hello from one\n");
    for (const [origin, wanted] of [
      [two.origin, "two"],
      [one.origin, "one"],
      [two.origin, "two"],
    ]) {
      await replace(shopAt(String(origin)));
      await expect.poll(() => body(perch), soon).toBe(`hello from ${wanted}\n`);
    }
    expect([await loads(perch), await refusals(perch)]).toEqual([3, 0]);
  });

  it("an editor truncates it and writes later: the empty file changes nothing", async () => {
    const [one, two] = [await upstream("one"), await upstream("two")];
    const { perch, file } = await changeablePerch(shopAt(one.origin));
    writeFileSync(file, "");
    await expect.poll(() => refusals(perch), soon).toBe(1);
    expect(await body(perch)).toBe("hello from one\n");
    writeFileSync(file, shopAt(two.origin));
    await expect.poll(() => body(perch), soon).toBe("hello from two\n");
    expect(await lastSuccessful(perch)).toBe(1);
  });
});

describe("a bad file", () => {
  it.each([
    { what: "an unknown key", bad: (good: string) => `${good}nonsense: 1\n`, line: 6, column: 1 },
    { what: "broken YAML", bad: (good: string) => `${good}services: {\n`, line: 7, column: 1 },
    { what: "an invalid value", bad: (good: string) => `workers: many\n${good}`, line: 1, column: 10 },
  ])("with $what keeps the last good one, has its position, and can be corrected", async ({ bad, line, column }) => {
    const one = await upstream("one");
    const good = shopAt(one.origin);
    const { perch, file } = await changeablePerch(good);
    const status = async () => (await (await perch.admin("/api/config")).json()) as ConfigStatus;
    const { active } = await status();
    await renameOver(file, bad(good));
    await expect.poll(() => lastSuccessful(perch), soon).toBe(0);
    const refused = await status();
    expect(refused.active).toEqual(active);
    expect(refused.lastError?.problems[0]).toMatchObject({ line, column, position: `${file}:${line}:${column}` });
    expect(refused.lastError?.text).toContain(`${file}:${line}:${column}: error: `);
    expect(await body(perch)).toBe("hello from one\n");

    await renameOver(file, good);
    await expect.poll(() => lastSuccessful(perch), soon).toBe(1);
    expect(await status()).toMatchObject({ active: { hash: active.hash }, lastError: null });
    expect(await perch.metric(`perch_config_info{hash="${active.hash}"}`)).toBe(1);
  });

  it("that is removed keeps the last good one", async () => {
    const one = await upstream("one");
    const folder = await temporaryFolder();
    mkdirSync(join(folder, "sub"));
    const file = join(folder, "sub", "perch.yaml");
    writeFileSync(file, shopAt(one.origin));
    const perch = await perchOn(file);
    rmSync(join(folder, "sub"), { recursive: true });
    await expect.poll(() => lastSuccessful(perch), soon).toBe(0);
    expect(await body(perch)).toBe("hello from one\n");
    mkdirSync(join(folder, "sub"));
    writeFileSync(file, shopAt(one.origin));
    await expect.poll(() => lastSuccessful(perch), soon).toBe(1);
  });
});

describe("requests and connections across a reload", () => {
  it("a request in flight finishes on its snapshot", async () => {
    const { promise: asked, resolve: ask } = Promise.withResolvers<void>();
    const old = await rawUpstream(() => ask());
    const next = await upstream("next");
    const { perch, change } = await changeablePerch(shopAt(old.origin, "exposeVersion: true"));
    const waiting = await rawClient(perch.port);
    waiting.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await asked;
    await change(shopAt(next.origin));
    const fresh = await fetch(perch.origin);
    expect([await fresh.text(), fresh.headers.get("x-perch-version")]).toEqual(["hello from next\n", null]);

    const [socket] = old.sockets;
    expect(socket?.readableEnded).toBe(false);
    socket?.write("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nold");
    const answer = await waiting.read((received) => received.endsWith("old"));
    waiting.close();
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\nx-perch-version: stable\r\n/);
    // Its endpoint is removed: the connection closes after the response.
    if (socket?.readableEnded === false) await once(socket, "end");
  });

  it("endpoints that stay keep their connections; those removed lose them", async () => {
    const [kept, removed] = [await upstream("kept"), await rawUpstream(answerEmpty)];
    const shops = (more: string, second: string) => `${freePorts}${more}
services:
  shop: { versions: { stable: { endpoints: ["${kept.origin}"] } } }
  other: { versions: { stable: { endpoints: ["${second}"] } } }
routes:
  - { name: other, match: { path: { prefix: /other } }, service: other }
  - { name: all, service: shop }
`;
    const { perch, change } = await changeablePerch(shops("", removed.origin));
    await body(perch);
    await (await fetch(`${perch.origin}/other`)).text();
    expect([kept.connections, removed.sockets.length]).toEqual([1, 1]);
    await change(shops("exposeVersion: true", removed.origin));
    await body(perch);
    await (await fetch(`${perch.origin}/other`)).text();
    expect([kept.connections, removed.sockets.length]).toEqual([1, 1]);

    const [idle] = removed.sockets;
    const { promise: closed, resolve } = Promise.withResolvers<void>();
    idle?.once("end", () => resolve());
    await change(shops("", kept.origin));
    await closed;
    await body(perch);
    // `other` is another endpoint with its own pool, at the same address.
    await (await fetch(`${perch.origin}/other`)).text();
    expect(kept.connections).toBe(2);
  });
});

describe("metrics across a reload", () => {
  it("series of what is removed disappear, others keep counting", async () => {
    const [one, two] = [await upstream("one"), await upstream("two")];
    const { perch, change } = await changeablePerch(`${freePorts}
attributes: { vip: { type: string, from: [{ header: x-vip }] } }
services:
  shop: { versions: { stable: { endpoints: ["${one.origin}"] }, canary: { endpoints: ["${two.origin}"] } } }
releases:
  shop:
    rules: [{ name: vips, when: { vip: "yes" }, use: canary }]
    split: { stable: 1, canary: 0 }
routes:
  - { name: old, match: { path: { prefix: /old } }, service: shop, release: shop }
  - { name: all, service: shop, release: shop }
`);
    for (const path of ["/", "/old"]) {
      await (await fetch(perch.origin + path)).text();
      await (await fetch(perch.origin + path, { headers: { "x-vip": "yes" } })).text();
    }
    const series = async () =>
      (await (await perch.admin("/metrics")).text()).split("\n").filter((line) => line[0] !== "#");
    const about = (lines: readonly string[], label: string) => lines.filter((line) => line.includes(label)).length;
    const gone = ['route="old"', 'version="canary"', 'rule="vips"', 'attribute="vip"', `endpoint="${two.origin}"`];
    const before = await series();
    for (const label of gone) expect(about(before, label), label).toBeGreaterThan(0);
    const all = requestsTotal(200);
    expect(before).toContain(`${all} 1`);

    await change(`${freePorts}
services: { shop: { versions: { stable: { endpoints: ["${one.origin}"] } } } }
releases: { shop: { split: { stable: 1 } } }
routes: [{ name: all, service: shop, release: shop }]
`);
    await body(perch);
    const after = await series();
    for (const label of gone) expect(about(after, label), label).toBe(0);
    expect(after).toContain(`${all} 2`);
    expect(after).toContain('perch_release_weight_ratio{release="shop",version="stable"} 1');
  });
});

function answerEmpty(socket: { write(bytes: string): unknown }): void {
  socket.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
}
