import { createServer } from "node:http";
import { describe, expect, it } from "vitest";
import { WebSocketServer } from "ws";
import { Bell } from "../kit/bell.ts";
import { Chromium, type ChromiumPage, findChromium } from "../kit/chromium.ts";
import { listening } from "../kit/freed.ts";
import { changeablePerch, freePorts } from "../kit/served.ts";

const program = findChromium();
if (program === undefined) console.info("skipped: no Chromium on this machine (apt-get install chromium)");

const waitMs = 20_000;

/** Takes over its page at once, and passes every request on. */
const serviceWorker = `addEventListener("install", () => skipWaiting());
addEventListener("activate", (event) => event.waitUntil(clients.claim()));
addEventListener("fetch", (event) => event.respondWith(fetch(event.request)));`;

const bodies: Readonly<Record<string, readonly [type: string, body: string]>> = {
  js: ["text/javascript", serviceWorker],
  json: ["application/json", "{}"],
};
const document = ["text/html", '<!doctype html><link rel="icon" href="data:,"><body>'] as const;

/** Two versions behind Perch, each with pages, JSON files and WebSockets, and a browser. */
async function site(sticky: string) {
  const bell = new Bell();
  const served = new Map<string, string>();
  const version = async (name: string): Promise<string> => {
    const note = (path = "") => {
      served.set(path, name);
      bell.ring();
    };
    const server = createServer(({ url }, response) => {
      note(url);
      const [type, body] = bodies[url?.split(".")[1] ?? ""] ?? document;
      response.writeHead(200, { "content-type": type, "cache-control": "no-store" }).end(body);
    });
    new WebSocketServer({ server }).on("connection", (socket, { url }) => {
      note(url);
      socket.close();
    });
    return `http://127.0.0.1:${await listening(server)}`;
  };
  const [stable, canary] = [await version("stable"), await version("canary")];
  const config = (split: string) => `${freePorts}
services: { shop: { versions: { stable: { endpoints: ["${stable}"] }, canary: { endpoints: ["${canary}"] } } } }
releases: { shop: { sticky: { ${sticky} }, split: ${split} } }
routes: [{ name: all, service: shop, release: shop }]
`;
  const { perch, change } = await changeablePerch(config("{ stable: 1, canary: 0 }"));
  const versionOf = async (path: string): Promise<string | undefined> => {
    expect(await bell.until(() => served.has(path), waitMs), `a request for ${path}`).toBe(true);
    return served.get(path);
  };
  const browser = await Chromium.start(program ?? "");
  // Chromium allows service workers and sends Sec-Fetch headers to localhost only.
  const origin = perch.origin.replace("127.0.0.1", "localhost");
  return {
    versionOf,
    open: (path: string) => browser.open(origin + path, {}),
    goTo: (page: ChromiumPage, path: string) => page.goTo(origin + path),
    toCanary: () => change(config("{ stable: 0, canary: 1 }")),
  };
}

const element = (parent: string, name: string, properties: object) =>
  `document.${parent}.append(Object.assign(document.createElement("${name}"), ${JSON.stringify(properties)}))`;
const speculate = (action: string, path: string) =>
  element("head", "script", {
    type: "speculationrules",
    textContent: JSON.stringify({ [action]: [{ source: "list", urls: [path], eagerness: "immediate" }] }),
  });

/** What a page's script does, by the path that it asks for. */
const calls: Readonly<Record<string, string>> = {
  "/a.json": 'fetch("/a.json")',
  "/image.json": 'new Image().src = "/image.json"',
  "/socket": 'new WebSocket("ws://" + location.host + "/socket")',
  "/events.json": 'new EventSource("/events.json")',
  "/beacon.json": 'navigator.sendBeacon("/beacon.json", "x")',
};
const preparations: Readonly<Record<string, string>> = {
  "/chunk.js": element("head", "link", { rel: "prefetch", as: "script", href: "/chunk.js" }),
  "/prefetched": speculate("prefetch", "/prefetched"),
  "/prerendered": speculate("prerender", "/prerendered"),
};
const frames: Readonly<Record<string, string>> = { "/frame": element("body", "iframe", { src: "/frame" }) };

describe.skipIf(program === undefined)("a page that is open while the weights change, in a browser", () => {
  it("meets its version in all that it fetches, prefetches and frames, until the next navigation", async () => {
    const { open, goTo, toCanary, versionOf } = await site("assets: follow-document, fetches: follow-document");
    const page = await open("/page");
    expect(await versionOf("/page")).toBe("stable");
    await toCanary();
    for (const [path, script] of Object.entries({ ...preparations, ...frames, ...calls })) {
      await page.run(script);
      expect(await versionOf(path), path).toBe("stable");
    }
    await goTo(page, "/next");
    expect(await versionOf("/next")).toBe("canary");
    await page.run('fetch("/next.json")');
    expect(await versionOf("/next.json")).toBe("canary");
  });

  it("does so behind a service worker that passes requests on", async () => {
    const { open, goTo, toCanary, versionOf } = await site("assets: follow-document, fetches: follow-document");
    const page = await open("/page");
    const taken = 'navigator.serviceWorker.addEventListener("controllerchange", () => fetch("/taken.json"))';
    await page.run(`${taken}; navigator.serviceWorker.register("/worker.js")`);
    await versionOf("/taken.json");
    await toCanary();
    for (const [path, script] of Object.entries({ ...preparations, ...calls })) {
      await page.run(script);
      expect(await versionOf(path), path).toBe("stable");
    }
    await goTo(page, "/next");
    expect(await versionOf("/next")).toBe("canary");
    await page.run('fetch("/next.json")');
    expect(await versionOf("/next.json")).toBe("canary");
  });

  it("keeps its assets with `assets: follow-document` alone, although it prefetches and calls", async () => {
    const { open, toCanary, versionOf } = await site("assets: follow-document");
    const page = await open("/page");
    expect(await versionOf("/page")).toBe("stable");
    await toCanary();
    for (const [path, script] of Object.entries(preparations)) {
      await page.run(script);
      expect(await versionOf(path), path).toBe("stable");
    }
    await page.run('fetch("/a.json")');
    expect(await versionOf("/a.json")).toBe("canary");
    await page.run(calls["/image.json"] ?? "");
    expect(await versionOf("/image.json")).toBe("stable");
  });
});
