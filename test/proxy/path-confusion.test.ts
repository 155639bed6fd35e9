/** @module-tag slow */
import { describe, expect, it } from "vitest";
import { perch, upstream } from "../kit/freed.ts";
import { exchange, lanes } from "../kit/one-service.ts";

/**
 * Two services: /admin only for requests with a header, and the rest for everyone. An upstream that resolves, decodes
 * or merges what Perch did not would serve /admin to anyone.
 */
async function guarded(fastLane: string, more = "") {
  const [open, secret] = [await upstream("open"), await upstream("secret")];
  const { port } = await perch(`
fastLane: ${fastLane}
${more}
services:
  open: { versions: { only: { endpoints: ["${open.origin}"] } } }
  secret: { versions: { only: { endpoints: ["${secret.origin}"] } } }
routes:
  - { name: admin, match: { path: { prefix: /admin }, headers: { x-staff: { exists: true } } }, service: secret }
  - { name: no-admin, match: { path: { prefix: /admin } }, redirect: { path: /login } }
  - { name: file, match: { path: { exact: /%66ile } }, service: secret }
  - { name: rest, service: open }`);
  return {
    open,
    async ask(target: string): Promise<string> {
      const answer = await exchange(port, `GET ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
      return answer.slice(9, 12);
    },
  };
}

/** The attack, its target, the status, and the target that the open upstream receives. */
const cases: readonly (readonly [string, string, string, string | undefined])[] = [
  ["dot segments", "/public/../admin", "302", undefined],
  ["encoded dots", "/public/%2e%2E/admin", "302", undefined],
  ["half encoded dots", "/public/.%2e/admin", "302", undefined],
  ["a dot segment before the prefix", "/./admin", "302", undefined],
  ["two slashes", "//admin", "302", undefined],
  ["encoded letters", "/%61dmin", "302", undefined],
  ["encoded letters in the last segment", "/admin/%2E", "302", undefined],
  ["a query, which stays as it is", "/public?x=/../admin//%2e", "200", "/public?x=/../admin//%2e"],
  ["dot segments below the open prefix", "/public/a/../b/", "200", "/public/b/"],
  ["an encoded slash that changes the route", "/admin%2Fusers", "400", undefined],
  ["an encoded backslash that changes the route", "/admin%5cusers", "400", undefined],
  ["a backslash that changes the route", "/admin\\users", "400", undefined],
  ["an encoded slash at the start", "/%2fadmin", "400", undefined],
  ["an encoded slash behind dots", "/public/..%2fadmin", "400", undefined],
  ["a backslash behind dots", "/public/..\\admin", "400", undefined],
  ["dots that end in a semicolon", "/public/..;/admin", "400", undefined],
  ["an empty segment with parameters", "/;/admin", "400", undefined],
  ["a segment of parameters alone", "/;a=b/admin", "400", undefined],
  ["the same, escaped", "/%3ba=b/admin", "400", undefined],
  ["parameters that change the route", "/admin;x=1/y", "400", undefined],
  ["the same, escaped", "/admin%3Bx/y", "400", undefined],
  ["parameters behind an encoded slash", "/x%2f;/../admin", "400", undefined],
  ["parameters within one route", "/cart;jsessionid=1/x", "200", "/cart;jsessionid=1/x"],
  ["an escape that appears by decoding", "/public/%2%65%2%65/admin", "400", undefined],
  ["above the root", "/../admin", "400", undefined],
  ["a NUL", "/public/x%00/../../admin", "400", undefined],
  ["an encoded slash within one route", "/projects/group%2fproject", "200", "/projects/group%2Fproject"],
  ["dots encoded twice, which are no dots", "/public/%252e%252e/admin", "200", "/public/%252e%252e/admin"],
  ["an absolute target", "http://a/public/../admin", "302", undefined],
  ["a route that is configured encoded", "/file", "200", undefined],
];

describe.each(lanes)("path confusion, in the $lane lane", ({ fastLane }) => {
  it.each(cases)("%s: %s is answered %s", async (_what, target, status, seen) => {
    const { open, ask } = await guarded(fastLane);
    expect(await ask(target)).toBe(status);
    expect(open.seen.map(({ url }) => url)).toEqual(seen === undefined ? [] : [seen]);
  });

  it.each([
    ["refuse", "/cart;jsessionid=1/x", "400", undefined],
    ["refuse", "/cart%3b1/x", "400", undefined],
    ["refuse", "/cart/x?a;b", "200", "/cart/x?a;b"],
    ["strip", "/cart;jsessionid=1/x;y?z", "200", "/cart/x?z"],
    ["strip", "/;/admin", "302", undefined],
    ["strip", "/admin;x=1/y", "302", undefined],
    ["strip", "/..;/admin", "400", undefined],
    ["strip", "/admin%3bx/y", "400", undefined],
    ["keep", "/;/admin", "200", "/;/admin"],
    ["keep", "/admin;x=1/y", "200", "/admin;x=1/y"],
  ])("pathParameters: %s, %s is answered %s", async (policy, target, status, seen) => {
    const { open, ask } = await guarded(fastLane, `pathParameters: ${policy}`);
    expect(await ask(target)).toBe(status);
    expect(open.seen.map(({ url }) => url)).toEqual(seen === undefined ? [] : [seen]);
  });

  it("pathParameters counts without normalisation too, where it is set", async () => {
    const { open, ask } = await guarded(fastLane, "pathNormalisation: off\npathParameters: strip");
    expect([await ask("//a;x/b"), await ask("/admin;x")]).toEqual(["200", "302"]);
    expect(open.seen.map(({ url }) => url)).toEqual(["//a/b"]);
  });

  it("reaches the upstream where normalisation is off", async () => {
    const { open, ask } = await guarded(fastLane, "pathNormalisation: off");
    for (const target of ["/public/../admin", "//admin", "/%61dmin", "/admin%2Fusers"]) {
      expect(await ask(target)).toBe("200");
      expect(open.seen.at(-1)?.url).toBe(target);
    }
  });

  /** A route that forwards paths as they are written, beside one that only staff may use. */
  async function mixed(first: string, more = "") {
    const [open, secret] = [await upstream("open"), await upstream("secret")];
    const { port } = await perch(`
fastLane: ${fastLane}
${more}
services:
  open: { versions: { only: { endpoints: ["${open.origin}"] } } }
  secret: { versions: { only: { endpoints: ["${secret.origin}"] } } }
routes:
  - { name: admin, match: { path: { prefix: /admin } }, service: secret }
  - { name: any, match: { path: { prefix: /any } }, service: open, ${first} }
  - { name: rest, match: { path: { prefix: / } }, redirect: { path: /login } }`);
    return async (target: string): Promise<string> => {
      const answer = await exchange(port, `GET ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
      return open.seen.pop()?.url ?? secret.seen.pop()?.url ?? answer.slice(9, 12);
    };
  }

  it.each([
    ["/any/https://example.com//x//", "/any/https://example.com//x//"],
    ["/any/%61/b;c?d", "/any/%61/b;c?d"],
    ["/x/../any/a", "/x/../any/a"],
    ["/any/../admin", "/admin"],
    ["//admin", "/admin"],
    ["/any/../../admin", "400"],
    ["/any/a%2f../b", "400"],
    ["/any/;/b", "400"],
  ])("a route without normalisation: %s → %s", async (target, wanted) => {
    const ask = await mixed("pathNormalisation: off");
    expect(await ask(target)).toBe(wanted);
  });

  it.each([
    ["/any/https://x//", "/v2/https://x//"],
    ["/any/..//any/x", "400"],
    ["//any/x", "400"],
  ])("a route without normalisation that rewrites the prefix: %s → %s", async (target, wanted) => {
    const ask = await mixed("pathNormalisation: off, rewrite: { prefix: /v2 }");
    expect(await ask(target)).toBe(wanted);
  });

  it.each([
    ["/any//%61/../b", "/any/b"],
    ["/any/../admin", "400"],
    ["/any/..", "400"],
    ["/admin//x", "/admin//x"],
  ])("the only route with normalisation: %s → %s", async (target, wanted) => {
    const ask = await mixed("pathNormalisation: on", "pathNormalisation: off");
    expect(await ask(target)).toBe(wanted);
  });
});
