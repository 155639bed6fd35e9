/** @module-tag slow */
import { describe, expect, it } from "vitest";
import { perch, upstream } from "../kit/freed.ts";
import { exchange, lanes, shopYaml } from "../kit/one-service.ts";

interface Setup {
  readonly fastLane: string;
  /** Keys of the route. */
  readonly route?: string;
  readonly release?: string | undefined;
  readonly method?: string;
  readonly status?: number;
  readonly fields?: string;
}

const override = "override: { cookie: perch-version, header: x-perch-version, query: v, allowFrom: [127.0.0.0/8] }";

/**
 * The caching fields of a response that sets no pin, of an upstream that answers with these: the client has a pin
 * already.
 */
async function cached(setup: Setup, answered: Record<string, string>): Promise<string[]> {
  const { fastLane, route, release = `split: { stable: 1 }, ${override}`, method = "GET", status = 200 } = setup;
  const { origin } = await upstream("stable", (_request, response) => {
    response.writeHead(status, answered).end();
  });
  const { port } = await perch(
    shopYaml({ stable: origin, more: `fastLane: ${fastLane}`, ...(release && { release }), ...(route && { route }) }),
  );
  const ask = async (fields: string) =>
    exchange(port, `${method} / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${fields}\r\n`);
  let { fields = "" } = setup;
  if (fields === "" && release !== "") {
    const pin = /perch-shop=[^;]+/.exec(await ask(""))?.[0];
    fields = `Cookie: ${pin}\r\n`;
  }
  const answer = await ask(fields);
  expect(answer).not.toContain("Set-Cookie");
  return answer.split("\r\n").filter((line) => /^(?:[a-z-]*cache-control|surrogate|expires|x-accel)/i.test(line));
}

const publicly = { "Cache-Control": "public, max-age=600" };
const madePrivate = ["Cache-Control: max-age=600, private"];

/** The response's fields and the request, and the caching fields that the client gets. */
const cases: readonly (readonly [string, Record<string, string>, Omit<Setup, "fastLane">, readonly string[]])[] = [
  ["with a pin from before", publicly, {}, madePrivate],
  ["with an override cookie", publicly, { fields: "Cookie: perch-version=stable\r\n" }, madePrivate],
  ["with an override header", publicly, { fields: "x-perch-version: stable\r\n" }, madePrivate],
  ["404", publicly, { status: 404 }, madePrivate],
  ["a redirect", { ...publicly, Location: "/x" }, { status: 301 }, madePrivate],
  ["an error", publicly, { status: 500 }, madePrivate],
  ["304", publicly, { status: 304 }, madePrivate],
  ["to HEAD", publicly, { method: "HEAD" }, madePrivate],
  ["that caches may store by their own rules", {}, {}, ["Cache-Control: private"]],
  ["that states s-maxage", { "Cache-Control": "s-maxage=600" }, {}, ["Cache-Control: private"]],
  [
    "with fields for other caches",
    {
      "CDN-Cache-Control": "max-age=9",
      "Surrogate-Control": "max-age=9",
      "X-Accel-Expires": "9",
      "Akamai-Cache-Control": "max-age=9",
    },
    {},
    ["Cache-Control: private"],
  ],
  ["that is private", { "Cache-Control": "private, max-age=1" }, {}, ["Cache-Control: private, max-age=1"]],
  ["that nobody stores", { "Cache-Control": "no-store" }, {}, ["Cache-Control: no-store"]],
  ["to POST", {}, { method: "POST" }, []],
  ["to POST that may be stored", publicly, { method: "POST" }, madePrivate],
  ["to POST that expires", { Expires: "0" }, { method: "POST" }, ["Expires: 0", "Cache-Control: private"]],
  [
    "whose route edits Cache-Control",
    {},
    { route: 'responseHeaders: { set: { cache-control: "public, max-age=600", cdn-cache-control: max-age=9 } }' },
    madePrivate,
  ],
  [
    "with sharedCache: keep",
    { ...publicly, "CDN-Cache-Control": "max-age=9" },
    { route: "sharedCache: keep" },
    ["Cache-Control: public, max-age=600", "CDN-Cache-Control: max-age=9"],
  ],
  ["without caching fields and with sharedCache: keep", {}, { route: "sharedCache: keep" }, []],
  ["of a route without a release", publicly, { release: "" }, ["Cache-Control: public, max-age=600"]],
];

describe.each(lanes)("shared caches, in the $lane lane: a response", ({ fastLane }) => {
  it.each(cases)("%s", async (_what, answered, setup, wanted) => {
    expect(await cached({ ...setup, fastLane }, answered)).toEqual(wanted);
  });

  it("that sets a pin is private in spite of sharedCache: keep", async () => {
    const { origin } = await upstream("stable", (_request, response) => {
      response.writeHead(200, publicly).end();
    });
    const { port } = await perch(
      shopYaml({
        stable: origin,
        release: "split: { stable: 1 }",
        route: "sharedCache: keep",
        more: `fastLane: ${fastLane}`,
      }),
    );
    const answer = await exchange(port, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    expect(answer).toContain("\r\nCache-Control: max-age=600, private\r\nSet-Cookie: perch-shop=");
  });

  it("for which a caller decided is private", async () => {
    const release = "split: { stable: 1 }, propagate: { header: x-perch-release, acceptFrom: [127.0.0.0/8] }";
    const fields = "x-perch-release: shop=stable\r\n";
    expect(await cached({ fastLane, release, fields }, publicly)).toEqual(madePrivate);
  });
});
