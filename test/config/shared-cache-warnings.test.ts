import { describe, expect, test } from "vitest";
import { load, problemsOf, validConfig } from "./valid-config.ts";

const noEffect = (what: string, where: string) =>
  `${what} has no effect in ${where}: a release decides its responses, so they are private; set sharedCache: keep for assets with hashed names`;

describe("edits that no shared cache obeys", () => {
  test.each([
    ["set: { cache-control: 'Public, max-age=9' }", "", "public"],
    ["add: { cache-control: [max-age=9, s-maxage=9] }", "", "s-maxage"],
    ["set: { cdn-cache-control: max-age=9 }", "", "cdn-cache-control"],
    ["set: { cache-control: 'private, max-age=9' }", "", undefined],
    ["set: { cache-control: public }", "    sharedCache: keep\n", undefined],
  ])("of a route: %s %s", (edit, more, directive) => {
    const text = `${validConfig}    responseHeaders: { ${edit} }\n${more}`;
    const wanted = directive === undefined ? [] : [`41:31: warning: ${noEffect(directive, 'route "shop"')}`];
    expect(problemsOf(load(text))).toEqual(wanted);
  });

  test.each([
    ["release: shop", [`7:35: warning: ${noEffect("surrogate-control", 'version "stable"')}`]],
    ["release: shop, sharedCache: keep", []],
    ["mirror: off", []],
  ])("of a version, on a route with %s", (route, wanted) => {
    const result = load(`listeners: [{ name: web, address: "127.0.0.1:80" }]
services:
  shop:
    versions:
      stable:
        endpoints: ["http://a"]
        responseHeaders: { set: { surrogate-control: max-age=9 } }
releases: { shop: { split: { stable: 1 } } }
routes:
  - { name: other, match: { path: { prefix: /other } }, service: shop, release: shop }
  - { name: all, service: shop, ${route} }
`);
    expect(problemsOf(result).filter((line) => line.includes("surrogate"))).toEqual(wanted);
  });
});
