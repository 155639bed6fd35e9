import { randomBytes } from "node:crypto";
import { brotliDecompressSync, gunzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import type { BuiltPage } from "../../src/admin/page/page-files.ts";
import { type AdminSetup, adminOf, MemoryRollouts } from "./memory-rollouts.ts";
import { portOf, StreamClient } from "./stream-client.ts";

const script = "console.log('perch');\n".repeat(500);
const font = randomBytes(2_000);
const html = `<!doctype html><title>Perch</title>${"<p>x</p>".repeat(100)}<script type="module" src="/assets/app-1.js"></script>`;
const built: BuiltPage = {
  html,
  files: [
    { path: "/assets/app-1.js", type: "text/javascript; charset=utf-8", body: Buffer.from(script) },
    { path: "/assets/font-2.woff2", type: "font/woff2", body: font },
  ],
};
const browser = { accept: "text/html,application/xhtml+xml,*/*;q=0.8" };

function serving(setup: AdminSetup = {}) {
  let loads = 0;
  const load = async () => {
    loads++;
    return built;
  };
  const { server } = adminOf(new MemoryRollouts(), { page: load, ...setup });
  return { server, loads: () => loads };
}

describe("the page", () => {
  test("is not cached, and may run and load its own files only", async () => {
    const answer = await serving().server.inject({ url: "/", headers: browser });
    expect([answer.statusCode, answer.body]).toEqual([200, html]);
    expect(answer.headers).toMatchObject({
      "content-type": "text/html; charset=utf-8",
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
      "x-frame-options": "DENY",
      vary: "accept, accept-encoding",
      "content-security-policy":
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; " +
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " +
        "require-trusted-types-for 'script'; trusted-types 'none'",
    });
    expect(answer.headers).not.toHaveProperty("etag");
  });

  test.each(["/assets/app-1.js", "/api/config", "/assets/none.js", "/livez"])("%s may run nothing", async (url) => {
    const answer = await serving().server.inject({ url, headers: browser });
    expect(answer.headers["content-security-policy"]).toBe(
      "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    );
  });

  test.each([
    { accept: "*/*", type: "text/plain" },
    { accept: undefined, type: "text/plain" },
    { accept: "text/*", type: "text/plain" },
    { accept: "text/html;q=0, */*", type: "text/plain" },
    { accept: "TEXT/HTML", type: "text/html" },
    { accept: "application/xml;q=0.9, text/html;q=0.1", type: "text/html" },
  ])("is $type for those who accept $accept", async ({ accept, type }) => {
    const headers = accept === undefined ? {} : { accept };
    const answer = await serving().server.inject({ url: "/", headers });
    expect(answer.headers["content-type"]).toBe(`${type}; charset=utf-8`);
    if (type === "text/plain") expect(answer.body).toContain("\n/api/live\n");
  });

  test("says so where there is none", async () => {
    const { server } = adminOf(new MemoryRollouts());
    const answer = await server.inject({ url: "/", headers: browser });
    expect([answer.statusCode, answer.headers["content-type"]]).toEqual([200, "text/html; charset=utf-8"]);
    expect(answer.body).toContain("This server has no dashboard.");
    expect((await server.inject("/assets/app-1.js")).statusCode).toBe(404);
  });

  test("is loaded once, by the first of many requests", async () => {
    const { server, loads } = serving();
    expect(loads()).toBe(0);
    await server.inject("/");
    expect(loads()).toBe(0);
    const urls = ["/", "/assets/app-1.js", "/assets/font-2.woff2", "/assets/none.js"];
    await Promise.all(urls.map((url) => server.inject({ url, headers: browser })));
    expect(loads()).toBe(1);
  });

  test("that could not be loaded is a problem, and is tried again", async () => {
    const failures: Error[] = [];
    let isBroken = true;
    const page = async () => {
      if (isBroken) throw new Error("internal secret");
      return built;
    };
    const { server } = serving({ page, onFailure: (error) => failures.push(error) });
    for (const url of ["/", "/assets/app-1.js"]) {
      const answer = await server.inject({ url, headers: browser });
      expect([answer.statusCode, answer.json().error]).toEqual([500, "no-page"]);
      expect(answer.json().detail).toContain("In a checkout run npm ci");
      expect(answer.body).not.toContain("secret");
      expect(answer.headers["cache-control"]).toBe("no-store");
    }
    expect(failures.map(({ message }) => message)).toEqual(["internal secret", "internal secret"]);
    expect((await server.inject({ url: "/", headers: { accept: "*/*" } })).statusCode).toBe(200);
    isBroken = false;
    expect((await server.inject({ url: "/", headers: browser })).body).toBe(html);
  });
});

describe("a file of the page", () => {
  const app = "/assets/app-1.js";

  test.each([
    { accepts: undefined, encoding: undefined },
    { accepts: "", encoding: undefined },
    { accepts: "gzip, deflate, br, zstd", encoding: "br" },
    { accepts: "gzip", encoding: "gzip" },
    { accepts: "GZIP;q=0.5", encoding: "gzip" },
    { accepts: "br;q=0.5, gzip;q=0.8", encoding: "gzip" },
    { accepts: "br;q=0, gzip;q=0.1", encoding: "gzip" },
    { accepts: "br;q=0, *", encoding: "gzip" },
    { accepts: "*", encoding: "br" },
    { accepts: "*;q=0", encoding: undefined },
    { accepts: "identity;q=0", encoding: undefined },
    { accepts: "identity, br;q=0.5", encoding: undefined },
    { accepts: "br;q=nonsense", encoding: undefined },
    { accepts: "zstd, deflate", encoding: undefined },
  ])("is sent to those who accept $accepts as $encoding", async ({ accepts, encoding }) => {
    const headers = accepts === undefined ? {} : { "accept-encoding": accepts };
    const answer = await serving().server.inject({ url: app, headers });
    expect([answer.statusCode, answer.headers["content-encoding"]]).toEqual([200, encoding]);
    const sent = answer.rawPayload;
    const opened = encoding === "br" ? brotliDecompressSync(sent) : encoding === "gzip" ? gunzipSync(sent) : sent;
    expect(opened.toString()).toBe(script);
    if (encoding !== undefined) expect(sent.length).toBeLessThan(script.length / 10);
    expect(answer.headers).toMatchObject({
      "content-type": "text/javascript; charset=utf-8",
      "content-length": String(sent.length),
      vary: "accept-encoding",
      "cache-control": "public, max-age=31536000, immutable",
      "cross-origin-resource-policy": "same-origin",
    });
  });

  test("that compression makes no smaller is sent as it is", async () => {
    const headers = { "accept-encoding": "br, gzip" };
    const answer = await serving().server.inject({ url: "/assets/font-2.woff2", headers });
    expect(answer.headers["content-encoding"]).toBeUndefined();
    expect(answer.rawPayload).toEqual(font);
  });

  test("has a tag for each encoding, by which it is not sent again", async () => {
    const { server } = serving();
    const get = (headers: Record<string, string>) => server.inject({ url: app, headers });
    const tags = await Promise.all(
      ["br", "gzip", "identity"].map(async (encoding) => (await get({ "accept-encoding": encoding })).headers["etag"]),
    );
    expect(new Set(tags).size).toBe(3);
    for (const tag of tags) expect(tag).toMatch(/^"[0-9a-f]{32}-(?:br|gzip|identity)"$/);
    const [br = ""] = tags.map(String);
    for (const known of [br, `"x", ${br}`, `W/${br}`, "*"]) {
      const answer = await get({ "accept-encoding": "br", "if-none-match": known });
      expect([known, answer.statusCode, answer.body]).toEqual([known, 304, ""]);
      expect(answer.headers).toMatchObject({ etag: br, vary: "accept-encoding" });
      expect(answer.headers["cache-control"]).toContain("immutable");
    }
    for (const other of ['"x"', "", br.slice(1, -1)]) {
      expect((await get({ "accept-encoding": "br", "if-none-match": other })).statusCode).toBe(200);
    }
    expect((await get({ "accept-encoding": "gzip", "if-none-match": br })).statusCode).toBe(200);
  });

  test("has the header of GET for HEAD", async () => {
    const answer = await serving().server.inject({ method: "HEAD", url: app });
    expect([answer.statusCode, answer.body, answer.headers["content-length"]]).toEqual([200, "", `${script.length}`]);
  });

  test.each(["/assets/none.js", "/assets/__proto__", "/assets/%2e%2e%2fpackage.json", "/assets/a/b"])(
    "that there is none of is a problem, and not cached: %s",
    async (url) => {
      const answer = await serving().server.inject(url);
      expect([answer.statusCode, answer.json().error]).toEqual([404, "not-found"]);
      expect(answer.headers["cache-control"]).toBe("no-store");
    },
  );
});

describe("remote, without a token", () => {
  const remote = { remoteAddress: "10.0.0.9", headers: { ...browser, host: "10.0.0.1:9901" } };

  test("the page loads, several times in a row, and what it would show does not", async () => {
    const { server } = serving({ listenHost: "0.0.0.0" });
    const files = ["/", "/assets/app-1.js", "/assets/font-2.woff2", "/assets/app-1.js"];
    const calls = ["/api/live", "/api/access", "/api/history/shop"];
    for (let load = 0; load < 7; load++) {
      for (const url of files) expect([url, (await server.inject({ url, ...remote })).statusCode]).toEqual([url, 200]);
      for (const url of calls) expect([url, (await server.inject({ url, ...remote })).statusCode]).toEqual([url, 401]);
    }
    const one = await server.inject({ method: "POST", url: "/", ...remote });
    expect(one.statusCode).toBe(401);
    expect((await server.inject({ url: "/", ...remote })).statusCode).toBe(429);
  });

  test.each([
    "/assets/../api/config",
    "/assets/%2e%2e/api/config",
    "/assets/..%2fapi/config",
    "/assets/x/../../api/config",
  ])("%s does not lead out of the assets", async (path) => {
    const port = await portOf(serving({ listenHost: "0.0.0.0" }).server);
    const client = new StreamClient(port, `GET ${path}`, { host: "10.0.0.1:9901", connection: "close" });
    await client.closed();
    expect(client.text).toMatch(/^HTTP\/1\.1 404 /);
    expect(client.text).toContain("not-found");
  });
});
