/** @module-tag slow */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import express from "express";
import { fastify } from "fastify";
import { describe, expect, it } from "vitest";
import { expressShop } from "../../deploy/examples/library/express-shop.ts";
import { fastifyShop } from "../../deploy/examples/library/fastify-shop.ts";
import { keepCurrent } from "../../deploy/examples/library/keep-current.ts";
import { release as expressRelease } from "../../src/adapters/express.ts";
import { release as fastifyRelease } from "../../src/adapters/fastify.ts";
import { createEngine, type Engine } from "../../src/index.ts";
import { freeAfterTest, listening } from "../kit/freed.ts";
import { loadedBy } from "../kit/loaded-packages.ts";
import { exchange } from "../kit/one-service.ts";
import { temporaryFolder } from "../kit/served.ts";

const config = (split: string) => `
attributes: { region: { type: string, from: [{ header: x-user-region }] } }
services:
  shop: { versions: { stable: { endpoints: ["http://127.0.0.1:1"] }, canary: { endpoints: ["http://127.0.0.1:1"] } } }
releases:
  shop:
    rules: [{ name: east, when: { region: cn-east }, use: canary }]
    split: ${split}
    propagate: { acceptFrom: [127.0.0.0/8] }
routes: [{ name: api, match: { path: { prefix: /api } }, service: shop, release: shop }]
`;

const toStable = config("{ stable: 1, canary: 0 }");
const toCanary = config("{ stable: 0, canary: 1 }");
const reports = { "/api/cached": "public, max-age=60", "/api/plain": undefined } as const;

/** Applications that return `request.release`. Mounted at `/api`, to test that a router decides by the full path. */
const frameworks: readonly { name: string; start(engine: Engine): Promise<string> }[] = [
  {
    name: "Express",
    start(engine) {
      const app = express();
      const router = express.Router();
      router.use(expressRelease(engine));
      for (const [path, cacheControl] of Object.entries(reports)) {
        router.get(path.slice("/api".length), (request, response) => {
          response.cookie("own", "1");
          if (cacheControl !== undefined)
            response.set({ "cache-control": cacheControl, "cdn-cache-control": "max-age=9" });
          response.json(request.release);
        });
      }
      router.get("/raw", (_request, response) => {
        response.writeHead(200, "Fine", { "Cache-Control": "public", "Set-Cookie": ["own=1"] }).end("{}");
      });
      app.use("/api", router);
      return originOf(createServer(app));
    },
  },
  {
    name: "Fastify",
    async start(engine) {
      const app = fastify();
      app.register(fastifyRelease, { engine });
      for (const [path, cacheControl] of Object.entries(reports)) {
        app.get(path, async (request, reply) => {
          reply.header("set-cookie", "own=1");
          if (cacheControl !== undefined)
            reply.headers({ "cache-control": cacheControl, "cdn-cache-control": "max-age=9" });
          return request.release;
        });
      }
      app.get("/api/raw", async (_request, reply) => {
        reply.code(200).header("Cache-Control", "public").header("Set-Cookie", ["own=1"]);
        return {};
      });
      freeAfterTest(() => app.close());
      return app.listen({ port: 0, host: "127.0.0.1" });
    },
  },
  {
    name: "plain Connect style",
    start(engine) {
      const middleware = expressRelease(engine);
      return originOf(
        createServer((request: IncomingMessage & { release?: unknown }, response: ServerResponse) => {
          middleware(request as Parameters<typeof middleware>[0], response, () => {
            response.appendHeader("set-cookie", "own=1");
            if (request.url === "/api/cached") response.setHeader("cache-control", reports["/api/cached"]);
            if (request.url === "/api/raw") response.writeHead(200, ["Cache-Control", "public"]).end("{}");
            else response.end(JSON.stringify(request.release));
          });
        }),
      );
    },
  },
];

const originOf = async (server: Server) => `http://127.0.0.1:${await listening(server)}`;

describe.each(frameworks)("request.release in $name", ({ start }) => {
  it("has the version and the reason, and the pin is set besides the application's cookies", async () => {
    const origin = await start(createEngine(toStable));
    const answer = await fetch(`${origin}/api/plain`, { headers: { "x-user-region": "cn-east" } });
    expect(await answer.json()).toMatchObject({
      route: "api",
      version: "canary",
      served: "canary",
      reason: "rule",
      rule: "east",
      propagate: { "x-perch-release": "shop=canary", baggage: "perch.shop=canary" },
    });
    expect(
      answer.headers
        .getSetCookie()
        .map((line) => line.split(/[=.]/)[0])
        .toSorted(),
    ).toEqual(["own", "perch-shop"]);
    expect(answer.headers.get("cache-control")).toBe("private");
  });

  it("follows the pin, a caller's decision and a reload; a valid pin is not set again", async () => {
    const engine = createEngine(toCanary);
    const origin = await start(engine);
    const decide = async (headers: Readonly<Record<string, string>>) => {
      const answer = await fetch(`${origin}/api/plain`, { headers });
      const pin = answer.headers
        .getSetCookie()
        .find((line) => line.startsWith("perch-shop="))
        ?.split(";")[0];
      const { version, reason } = (await answer.json()) as { version: string; reason: string };
      return { version, reason, pin };
    };
    const { pin = "" } = await decide({});
    expect(await decide({ cookie: pin })).toEqual({ version: "canary", reason: "split", pin: undefined });
    const propagated = await decide({ "x-perch-release": "shop=stable" });
    expect(propagated).toEqual({ version: "stable", reason: "propagated", pin: undefined });
    engine.reload(toStable);
    expect(await decide({ cookie: pin })).toMatchObject({ version: "stable", reason: "split" });
  });

  it("keeps responses out of shared caches, with and without a pin, whatever cache headers the application sets", async () => {
    const origin = await start(createEngine(toStable));
    const cached = await fetch(`${origin}/api/cached`);
    expect(cached.headers.get("cache-control")).toBe("max-age=60, private");
    expect(cached.headers.get("cdn-cache-control")).toBeNull();
    const raw = await fetch(`${origin}/api/raw`);
    expect(raw.headers.get("cache-control")).toBe("private");
    expect(raw.headers.getSetCookie().some((line) => line.startsWith("perch-shop="))).toBe(true);
    const pinned = await fetch(`${origin}/api/cached`, { headers: { cookie: raw.headers.getSetCookie().join("; ") } });
    expect(pinned.headers.get("cache-control")).toBe("max-age=60, private");
    expect(pinned.headers.get("cdn-cache-control")).toBeNull();
  });

  it("treats a header that occurs twice as absent", async () => {
    const origin = await start(createEngine(toStable));
    const twice = "x-user-region: cn-east\r\n".repeat(2);
    const bytes = `GET /api/plain HTTP/1.1\r\nHost: shop\r\n${twice}Connection: close\r\n\r\n`;
    const answer = await exchange(Number(new URL(origin).port), bytes);
    expect(answer).toContain('"version":"stable"');
    expect(answer).toContain('"attributes":{"region":null}');
  });
});

describe.each([
  { name: "Express", start: (engine: Engine, next?: string) => originOf(createServer(expressShop(engine, next))) },
  {
    name: "Fastify",
    start: (engine: Engine, next?: string) => {
      const app = fastifyShop(engine, next);
      freeAfterTest(() => app.close());
      return app.listen({ port: 0, host: "127.0.0.1" });
    },
  },
])("the example in $name", ({ start }) => {
  const engine = async () => {
    const secret = join(await temporaryFolder(), "pins.secret");
    await writeFile(secret, "s".repeat(32));
    const file = fileURLToPath(new URL("../../deploy/examples/library/perch.yaml", import.meta.url));
    return createEngine({ file }, { env: { PERCH_SECRET_FILE: secret } });
  };

  it("computes prices by version, and propagates the decision to the next service", async () => {
    const last = await start(await engine());
    const first = await start(await engine(), `${last}/price?items=3`);
    const byRule = { "x-user-region": "cn-east", "x-user-registered-at": "2026-03-01" };
    const price = await fetch(`${first}/price?items=3`, { headers: byRule });
    expect(await price.json()).toEqual({ cents: 650, version: "canary" });
    // The next service gets no user attributes, so without propagation it would draw a version itself.
    for (let user = 0; user < 30; user++) {
      const headers = user % 3 === 0 ? byRule : { "x-user-id": `user-${user}` };
      const order = (await (await fetch(`${first}/order`, { headers })).json()) as { here: string; there: object };
      expect(order.there).toMatchObject({ version: order.here });
    }
  });
});

describe("the example's file", () => {
  it("is served by the program, which says where", async () => {
    const secret = join(await temporaryFolder(), "pins.secret");
    await writeFile(secret, "s".repeat(32));
    const start = fileURLToPath(new URL("../../deploy/examples/library/start.js", import.meta.url));
    const shop = spawn(process.execPath, [start], { env: { PORT: "0", PERCH_SECRET_FILE: secret } });
    freeAfterTest(async () => shop.kill());
    const [line] = (await once(shop.stdout, "data")) as [Buffer];
    expect(await (await fetch(line.toString().trim())).json()).toMatchObject({ cents: expect.any(Number) });
  });

  it("is read again when it changes, and an invalid one changes nothing", async () => {
    const folder = await temporaryFolder();
    const file = join(folder, "perch.yaml");
    const split = (weights: string) => `services:
  shop: { versions: { stable: { endpoints: ["http://a:80"] }, canary: { endpoints: ["http://b:80"] } } }
releases: { shop: { split: ${weights} } }
routes: [{ name: shop, service: shop, release: shop }]
`;
    await writeFile(file, split("{ stable: 1, canary: 0 }"));
    const engine = createEngine({ file });
    const errors: unknown[] = [];
    freeAfterTest(async () => stop());
    const stop = keepCurrent(engine, file, { pollMs: 10, onError: (error) => errors.push(error) });
    const served = () => engine.decide({ url: "/", headers: { host: "shop.example" } }).served;
    expect(served()).toBe("stable");
    await writeFile(file, "services: [");
    await expect.poll(() => errors).toHaveLength(1);
    process.emit("SIGHUP");
    expect(errors).toHaveLength(2);
    expect(served()).toBe("stable");
    await writeFile(file, split("{ stable: 0, canary: 1 }"));
    await expect.poll(served).toBe("canary");
  });
});

it.each(["express", "fastify"])("the adapter for %s loads no framework, no server and no client", async (name) => {
  expect((await loadedBy(`await import("./src/adapters/${name}.ts");`)).packages).toEqual([]);
});
