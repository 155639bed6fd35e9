import { describe, expect, it } from "vitest";
import { Bell } from "../kit/bell.ts";
import { Chromium, findChromium } from "../kit/chromium.ts";
import { upstream } from "../kit/freed.ts";
import { changeablePerch, freePorts } from "../kit/served.ts";

const program = findChromium();
if (program === undefined) console.info("skipped: no Chromium on this machine (apt-get install chromium)");

const visitors = 50;
const assetCount = 12;
const waitMs = 20_000;

/** Assets of three kinds, loaded in parallel. */
const tags = Array.from({ length: assetCount }, (_, at) => {
  if (at % 3 === 0) return `<script src="asset-${at}.js" async></script>`;
  return at % 3 === 1 ? `<link rel="stylesheet" href="asset-${at}.css">` : `<img src="asset-${at}.png">`;
}).join("\n");
const page = `<!doctype html><html><head><link rel="icon" href="data:,"><title>page</title></head><body>${tags}</body></html>`;

const types: Readonly<Record<string, string>> = { js: "text/javascript", css: "text/css", png: "image/png" };

/** Both versions and a shell that serves documents only, behind Perch; and the answers by the page's folder. */
async function site(assets: "independent" | "follow-document") {
  const answered = new Map<string, string[]>();
  const bell = new Bell();
  const version = (name: string) =>
    upstream(name, (request, response) => {
      const [, , folder = "", file = ""] = (request.url ?? "").split("/");
      const type = types[file.split(".")[1] ?? ""] ?? "text/html";
      answered.set(folder, [...(answered.get(folder) ?? []), `${file === "" ? "page" : "asset"} ${name}`]);
      response.writeHead(200, { "content-type": type, "cache-control": "no-store" });
      response.end(type === "text/html" ? page : "");
      bell.ring();
    });
  const [stable, canary, shell] = [await version("stable"), await version("canary"), await version("shell")];
  const config = (split: string) => `${freePorts}
trustedProxies: [127.0.0.0/8]
services:
  shop: { versions: { stable: { endpoints: ["${stable.origin}"] }, canary: { endpoints: ["${canary.origin}"] } } }
  shell: { versions: { only: { endpoints: ["${shell.origin}"] } } }
releases: { shop: { sticky: { assets: ${assets} }, split: ${split} } }
routes:
  - { name: shell, match: { path: { regex: "^/shell/[^/]*/$" } }, service: shell }
  - { name: all, service: shop, release: shop }
`;
  const { perch, change } = await changeablePerch(config("{ stable: 50, canary: 50 }"));
  /** The versions that answered for a folder, after `count` answers. */
  const versionsOf = async (folder: string, count: number, kind = ""): Promise<Set<string>> => {
    const seen = () => (answered.get(folder) ?? []).filter((answer) => answer.startsWith(kind));
    await bell.until(() => seen().length >= count, waitMs);
    expect(seen()).toHaveLength(count);
    return new Set(seen().map((answer) => answer.split(" ")[1] ?? ""));
  };
  return { origin: perch.origin, versionsOf, change: (split: string) => change(config(split)) };
}

const address = (visitor: number) => ({ "x-forwarded-for": `198.51.100.${visitor}` });

/** The versions of each visitor's page: of its document and assets, or of its assets only. */
async function visitAll(assets: "independent" | "follow-document", path: "page" | "shell"): Promise<Set<string>[]> {
  const { origin, versionsOf } = await site(assets);
  const browser = await Chromium.start(program ?? "");
  const seen: Set<string>[] = [];
  for (let visitor = 0; visitor < visitors; visitor++) {
    const opened = await browser.open(`${origin}/${path}/${visitor}/`, address(visitor));
    seen.push(
      path === "page"
        ? await versionsOf(`${visitor}`, assetCount + 1)
        : await versionsOf(`${visitor}`, assetCount, "asset"),
    );
    await opened.close();
  }
  return seen;
}

const mixed = (seen: readonly Set<string>[]) => seen.filter(({ size }) => size > 1).length;

describe.skipIf(program === undefined)("a browser's first page load, with twelve sub-resources", () => {
  it("never mixes versions, and half of the visitors get each", async () => {
    const seen = await visitAll("follow-document", "page");
    expect(mixed(seen)).toBe(0);
    const canaries = seen.filter((versions) => versions.has("canary")).length;
    expect(canaries).toBeGreaterThan(10);
    expect(canaries).toBeLessThan(40);
  });

  it("never mixes versions where the document set no pin, so that the twelve requests have none", async () => {
    expect(mixed(await visitAll("follow-document", "shell"))).toBe(0);
  });

  it("mixes them with `assets: independent`", async () => {
    expect(mixed(await visitAll("independent", "shell"))).toBeGreaterThan(visitors / 2);
  });

  it("comes from one version although the weights change meanwhile; the next page follows them", async () => {
    const { origin, versionsOf, change } = await site("follow-document");
    await change("{ stable: 1, canary: 0 }");
    const browser = await Chromium.start(program ?? "");
    const opened = await browser.open(`${origin}/page/before/`, address(1));
    expect(await versionsOf("before", assetCount + 1)).toEqual(new Set(["stable"]));
    await change("{ stable: 0, canary: 1 }");
    await opened.run('for (let i = 0; i < 6; i++) new Image().src = "/page/later/late-" + i + ".png"');
    await opened.run(
      'document.head.append(Object.assign(document.createElement("script"), { src: "/page/later/late.js" }))',
    );
    expect(await versionsOf("later", 7)).toEqual(new Set(["stable"]));
    await opened.run('fetch("/page/called/data.json")');
    expect(await versionsOf("called", 1)).toEqual(new Set(["canary"]));
    await opened.run('new Image().src = "/page/last/late.png"');
    expect(await versionsOf("last", 1)).toEqual(new Set(["stable"]));
    await opened.goTo(`${origin}/page/after/`);
    expect(await versionsOf("after", assetCount + 1)).toEqual(new Set(["canary"]));
  });
});
