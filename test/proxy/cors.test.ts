import { describe, expect, it } from "vitest";
import { PatternMeter } from "../../src/decide/pattern.ts";
import { repeated } from "../../src/http/request-head.ts";
import type { Cors } from "../../src/proxy/cors.ts";
import type { Route } from "../../src/proxy/snapshot.ts";
import { perch, upstream } from "../kit/freed.ts";
import { h2cPerch } from "../kit/h2-client.ts";
import { lanes } from "../kit/one-service.ts";
import { snapshotOf } from "../kit/snapshot.ts";

/** The compiled `cors` of a route with this YAML. */
function corsOf(yaml: string): Cors {
  const snapshot = snapshotOf(`
listeners: [{ name: web, address: 127.0.0.1:8080 }]
services: { shop: { versions: { stable: { endpoints: ["http://shop:80"] } } } }
routes: [{ name: shop, service: shop, cors: ${yaml} }]`);
  const facts = {
    method: "GET",
    host: "shop.example",
    path: "/",
    isRooted: true,
    listener: "web",
    isHttps: false,
    header: none,
    query: none,
    patterns: new PatternMeter(),
    patternSkipped: none,
  };
  const route: Route | undefined = snapshot.routes.find(facts, 0);
  if (route?.cors === undefined) throw new Error("the route has no cors");
  return route.cors;
}

const none = () => undefined;
const headOf = (headers: Readonly<Record<string, string | typeof repeated>>) => ({
  header: (name: string) => headers[name],
});
const app = "https://app.example";

describe("which origins are allowed", () => {
  const listed = `{ allowOrigins: ["${app}", "https://*.shop.example", "https://*.dev.example:8443", "http://localhost:3000", "https://plain.example:443", "http://[::1]:9", "CHROME-extension://abcdef"] }`;
  const rows: [origin: string, allowed: boolean][] = [
    [app, true],
    ["https://www.shop.example", true],
    ["https://a.b.shop.example", true],
    ["https://x.dev.example:8443", true],
    ["http://localhost:3000", true],
    ["https://plain.example", true],
    ["http://[::1]:9", true],
    ["chrome-extension://abcdef", true],
    ["http://app.example", false],
    ["https://app.example:8443", false],
    ["https://app.example.evil.example", false],
    ["https://evil-app.example", false],
    ["https://APP.example", false],
    ["https://shop.example", false],
    ["https://evilshop.example", false],
    ["https://.shop.example", false],
    ["https://evil.example/.shop.example", false],
    ["https://evil.example#.shop.example", false],
    ["https://evil.example:1@www.shop.example", false],
    ["https://www.shop.example:8443", false],
    ["https://x.dev.example", false],
    ["null", false],
    ["", false],
    [`${app}, https://evil.example`, false],
    [`${app}\r\nX-Evil: 1`, false],
  ];
  it.each(rows)("%j: %s", (origin, allowed) => {
    const fields = corsOf(listed).responseFields(headOf({ origin }));
    expect(fields).toEqual(allowed ? ["Access-Control-Allow-Origin", origin, "Vary", "Origin"] : ["Vary", "Origin"]);
  });

  it("none if a request names two", () => {
    expect(corsOf(listed).responseFields(headOf({ origin: repeated }))).toEqual(["Vary", "Origin"]);
  });

  it("null where it is listed", () => {
    const fields = corsOf(`{ allowOrigins: ["null"] }`).responseFields(headOf({ origin: "null" }));
    expect(fields).toEqual(["Access-Control-Allow-Origin", "null", "Vary", "Origin"]);
  });

  it("every host of a scheme, on its default port", () => {
    const cors = corsOf(`{ allowOrigins: ["https://*"] }`);
    const grants = (origin: string) => cors.responseFields(headOf({ origin })).length > 2;
    expect(["https://a.example", "https://a.example:81", "http://a.example", "null"].map(grants)).toEqual([
      true,
      false,
      false,
      false,
    ]);
  });

  it("all, by a literal * without credentials", () => {
    const cors = corsOf(`{ allowOrigins: ["*"], exposeHeaders: ["*"] }`);
    for (const headers of [{}, { origin: "null" }, { origin: app }]) {
      expect(cors.responseFields(headOf(headers))).toEqual([
        "Access-Control-Allow-Origin",
        "*",
        "Access-Control-Expose-Headers",
        "*",
      ]);
    }
  });

  it("all, by name with credentials, but not null and no other text", () => {
    const cors = corsOf(`{ allowOrigins: ["*"], allowCredentials: true }`);
    expect(cors.responseFields(headOf({ origin: app }))).toEqual([
      "Access-Control-Allow-Origin",
      app,
      "Access-Control-Allow-Credentials",
      "true",
      "Vary",
      "Origin",
    ]);
    for (const origin of ["null", "https://a.example/x", "a", "https://ü.example"]) {
      expect(cors.responseFields(headOf({ origin }))).toEqual(["Vary", "Origin"]);
    }
  });
});

describe("the response to a preflight", () => {
  const asks = {
    origin: app,
    "access-control-request-method": "PUT",
    "access-control-request-headers": "x-canary,x-b",
  };
  const granted = (yaml: string, headers: Readonly<Record<string, string>> = asks) => {
    const { status, fields } = corsOf(yaml).preflight(headOf(headers));
    expect(status).toBe(204);
    return Object.fromEntries(fields.map((name, at) => [name, fields[at + 1]]).filter((_, at) => at % 2 === 0));
  };

  it("names what is configured", () => {
    const yaml = `{ allowOrigins: ["${app}"], allowMethods: [put, DELETE], allowHeaders: [X-Canary], maxAge: 10m }`;
    expect(granted(yaml)).toEqual({
      "Access-Control-Allow-Origin": app,
      "Access-Control-Allow-Methods": "PUT, DELETE",
      "Access-Control-Allow-Headers": "x-canary",
      "Access-Control-Max-Age": "600",
      Vary: "Origin",
    });
  });

  it("is *, which is literal only without credentials", () => {
    expect(granted(`{ allowOrigins: ["*"], allowMethods: ["*"], allowHeaders: ["*", authorization] }`)).toEqual({
      "Access-Control-Allow-Origin": "*",
      "Access-Control-Allow-Methods": "*",
      "Access-Control-Allow-Headers": "*, authorization",
      "Access-Control-Max-Age": "5",
    });
  });

  it("names what is asked for in place of * with credentials", () => {
    const yaml = `{ allowOrigins: ["${app}"], allowMethods: ["*"], allowHeaders: ["*"], allowCredentials: true }`;
    expect(granted(yaml)).toEqual({
      "Access-Control-Allow-Origin": app,
      "Access-Control-Allow-Credentials": "true",
      "Access-Control-Allow-Methods": "PUT",
      "Access-Control-Allow-Headers": "x-canary,x-b",
      "Access-Control-Max-Age": "5",
      Vary: "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
    });
    expect(granted(yaml, { ...asks, "access-control-request-headers": "x y\u0001" })).not.toHaveProperty(
      "Access-Control-Allow-Headers",
    );
  });

  it("grants nothing to an origin that is not allowed", () => {
    expect(granted(`{ allowOrigins: ["https://other.example"], allowMethods: [PUT] }`)).toEqual({ Vary: "Origin" });
  });
});

describe.each(lanes)("a route with cors, in the $lane lane", ({ fastLane }) => {
  const start = async () => {
    const shop = await upstream("stable", (_, response) =>
      response
        .writeHead(200, [
          ["Access-Control-Allow-Origin", "*"],
          ["access-control-expose-headers", "x-secret"],
          ["Vary", "Accept-Encoding"],
        ])
        .end("ok"),
    );
    const started = await perch(`
fastLane: ${fastLane}
services:
  shop: { versions: { stable: { endpoints: ["${shop.origin}"] }, canary: { endpoints: ["${shop.origin}"] } } }
  dead: { versions: { stable: { endpoints: ["http://127.0.0.1:1"] } } }
releases: { shop: { split: { stable: 50, canary: 50 } } }
routes:
  - { name: dead, match: { path: { prefix: /dead } }, service: dead, cors: &cors { allowOrigins: ["${app}"], allowMethods: [PUT] } }
  - { name: open, match: { path: { prefix: /open } }, service: shop, release: shop }
  - { name: shop, service: shop, release: shop, cors: *cors }
`);
    const ask = (path: string, headers: Readonly<Record<string, string>>, method = "OPTIONS") =>
      fetch(started.origin + path, { method, headers });
    return { ...started, shop, ask };
  };
  const asks = { origin: app, "access-control-request-method": "PUT" };

  it("answers preflights itself, and decides, pins and counts no user for them", async () => {
    const { ask, shop, metric } = await start();
    const answer = await ask("/api/new", asks);
    expect([answer.status, answer.headers.get("access-control-allow-methods")]).toEqual([204, "PUT"]);
    expect([answer.headers.get("set-cookie"), answer.headers.get("content-length")]).toEqual([null, null]);
    expect((await ask("/api/new", { ...asks, origin: "https://evil.example" })).headers.get("vary")).toBe("Origin");
    expect(shop.seen).toEqual([]);
    expect(
      await metric('perch_requests_total{route="shop",service="shop",version="none",code="204",method="OPTIONS"}'),
    ).toBe(2);
  });

  it("replaces what the upstream grants, in its responses and in Perch's errors", async () => {
    const { ask } = await start();
    const granted = async (path: string, origin: string) => {
      const { headers } = await ask(path, { origin }, "GET");
      return ["allow-origin", "expose-headers"].map((name) => headers.get(`access-control-${name}`));
    };
    expect(await granted("/", app)).toEqual([app, null]);
    expect(await granted("/", "https://evil.example")).toEqual([null, null]);
    expect(await granted("/dead", app)).toEqual([app, null]);
    const { headers, status } = await ask("/dead", { origin: "https://evil.example" }, "GET");
    expect([status, headers.get("access-control-allow-origin"), headers.get("vary")]).toEqual([502, null, "Origin"]);
    expect((await ask("/", {}, "GET")).headers.get("vary")).toBe("Accept-Encoding, Origin");
  });

  it("without cors forwards preflights to one version, and counts and pins nobody", async () => {
    const { ask, shop, admin, metric } = await start();
    for (let i = 0; i < 10; i++) expect((await ask("/open/new", asks)).headers.get("set-cookie")).toBeNull();
    expect(shop.seen).toHaveLength(10);
    const counted = 'perch_requests_total{route="open",service="shop",version="none",code="200",method="OPTIONS"}';
    expect(await metric(counted)).toBe(10);
    expect(await (await admin("/metrics")).text()).not.toContain('version="stable",code=');
    expect(await (await admin("/metrics")).text()).not.toContain("perch_decisions_total{");
  });
});

describe("a route with cors, over HTTP/2", () => {
  it("answers a preflight with a head alone, and replaces what the upstream grants", async () => {
    const shop = await upstream("stable", (_, response) =>
      response.writeHead(200, { "access-control-allow-origin": "*" }).end("ok"),
    );
    const { client } = await h2cPerch(
      `
services: { shop: { versions: { stable: { endpoints: ["${shop.origin}"] } } } }
routes: [{ name: shop, service: shop, cors: { allowOrigins: ["${app}"] } }]`,
    );
    const preflight = ["origin", app, "access-control-request-method", "PUT"];
    const answer = await client.get({ method: "OPTIONS", fields: preflight });
    expect([answer.status, answer.headOnly, answer.headers["access-control-allow-origin"]]).toEqual([204, true, app]);
    expect(shop.seen).toEqual([]);
    const other = await client.get({ fields: ["origin", "https://evil.example"] });
    expect([other.status, other.headers["access-control-allow-origin"], other.headers["vary"]]).toEqual([
      200,
      undefined,
      "Origin",
    ]);
  });
});
