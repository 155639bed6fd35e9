import { describe, expect, test } from "vitest";
import { imported } from "../asked.ts";
import { ingress, pair, web } from "./ingresses.ts";

describe("annotations with an equivalent", () => {
  const pattern = "ImplementationSpecific";
  test.each([
    ["rewrite-target without a group", { "rewrite-target": "/uuid" }, "/", pattern, /rewrite:\s+path: \/uuid/],
    [
      "rewrite-target with the rest of the path",
      { "rewrite-target": "/$1" },
      "/original/(.*)",
      pattern,
      /path: { regex: \(\?i\)\^\/original\/\(\.\*\) }[\s\S]*regex:\s+pattern: \(\?i\)\^\/original\/\(\.\*\)\s+replacement: \/\$1/,
    ],
    [
      "rewrite-target with two groups",
      { "rewrite-target": "/$1/x/$2" },
      "/(foo|bar)/(.*)",
      pattern,
      /pattern: \(\?i\)\^\/\(foo\|bar\)\/\(\.\*\)\s+replacement: \/\$1\/x\/\$2/,
    ],
    [
      "rewrite-target of a pattern that does not reach the end, where nginx replaces the whole path",
      { "rewrite-target": "/x/$1" },
      "/(a|b)",
      pattern,
      /pattern: \(\?i\)\^\/\(a\|b\)\.\*\s+replacement: \/x\/\$1/,
    ],
    [
      "server-alias",
      { "server-alias": "b.example,c.example" },
      "/",
      "Prefix",
      /hosts: \[ shop\.example\.com, b\.example, c\.example \]/,
    ],
    [
      "proxy-next-upstream",
      { "proxy-next-upstream": "error http_502 http_503", "proxy-next-upstream-tries": "2" },
      "/",
      "Prefix",
      /retries:\s+attempts: 1\s+on:\s+- connect-failure\s+- reset-before-response\s+- 502\s+- 503/,
    ],
    [
      "proxy-next-upstream-tries",
      { "proxy-next-upstream": "error", "proxy-next-upstream-tries": "5" },
      "/",
      "Prefix",
      /retries:\s+attempts: 4/,
    ],
    ["proxy-next-upstream: off", { "proxy-next-upstream": "off" }, "/", "Prefix", /retries:\s+attempts: 0/],
    ["upstream-hash-by the address", { "upstream-hash-by": "$remote_addr" }, "/", "Prefix", /balance: hash/],
    [
      "proxy-cookie-domain",
      { "proxy-cookie-domain": "localhost example.org" },
      "/",
      "Prefix",
      /cookieDomain: example\.org/,
    ],
    [
      "x-forwarded-prefix",
      { "x-forwarded-prefix": "/x" },
      "/",
      "Prefix",
      /requestHeaders:\s+set:\s+x-forwarded-prefix: \/x/,
    ],
    [
      "mirror-target",
      { "mirror-target": "https://copy.example$request_uri" },
      "/",
      "Prefix",
      /mirror:\s+endpoints:\s+- https:\/\/copy\.example:443[\s\S]*split:\s+stable: 1\s+mirror: 0\s+mirror:\s+version: mirror\s+percent: 100/,
    ],
    [
      "app-root",
      { "app-root": "/app" },
      "/",
      "Prefix",
      /path: { exact: \/ } }\s+redirect:\s+path: \/app\s+status: 302/,
    ],
    [
      "from-to-www-redirect",
      { "from-to-www-redirect": "true" },
      "/",
      "Prefix",
      /hosts: \[ www\.shop\.example\.com \] }\s+redirect:\s+host: shop\.example\.com\s+status: 308/,
    ],
  ])("%s", (_what, values: Record<string, string>, path, type, wanted) => {
    const { config, notes } = web(values, path, type);
    expect(config).toMatch(wanted);
    expect(notes.filter((note) => note.includes("no equivalent"))).toEqual([]);
  });

  test("custom-headers, with the ConfigMap that it names", () => {
    const headers =
      "\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: { name: extra, namespace: shop }\ndata: { X-Team: blue }\n";
    const named = ingress("web", { "custom-headers": "shop/extra" }, [{ path: "/", service: "shop" }]);
    expect(imported(named + headers).config).toMatch(/responseHeaders:\s+set:\s+x-team: blue/);
    expect(imported(named).notes.join("\n")).toContain(
      "custom-headers: set the data of the ConfigMap as `responseHeaders.set`",
    );
  });

  test("rewrite-target to the path itself changes nothing", () => {
    const { config, notes } = web({ "rewrite-target": "/" });
    expect(config).not.toContain("rewrite");
    expect(notes.join("\n")).not.toContain("rewrite-target");
  });

  test.each([
    ["a variable of nginx", { "rewrite-target": "/x$request_uri" }, "variables of nginx have no equivalent"],
    ["a group that the path does not have", { "rewrite-target": "/$3" }, "has no group 3"],
    [
      "a value that is not understood",
      { "proxy-read-timeout": "soon" },
      "proxy-read-timeout: not imported: its value is not understood",
    ],
    ["both rate limits", { "limit-rps": "1", "limit-rpm": "9" }, "limit-rpm: not imported: a route has one rate limit"],
    [
      "a hash by another value",
      { "upstream-hash-by": "$request_uri" },
      "upstream-hash-by: not imported: `balance: hash`",
    ],
  ])("a note names %s", (_what, values: Record<string, string>, note) => {
    expect(web(values).notes.join("\n")).toContain(note);
  });

  test("every annotation of a canary but those of the canary is named", () => {
    const { notes } = imported(pair({ "rewrite-target": "/x", "proxy-read-timeout": "9", "canary-weight": "1" }));
    for (const name of ["rewrite-target", "proxy-read-timeout"]) {
      expect(notes).toContain(
        `Ingress shop/web-canary: ${name}: has no effect on a canary Ingress, in ingress-nginx either`,
      );
    }
    expect(notes.join("\n")).not.toContain("canary-weight:");
  });
});

test("server-alias with a pattern beside hosts", () => {
  const { config, notes } = web({ "server-alias": "b.example, *.c.example ~^x.*$" });
  expect(config).toMatch(/b\.example, "\*\.c\.example"/);
  expect(notes.join("\n")).toContain("server-alias ~^x.*$: left out");
});
