import { describe, expect, test } from "vitest";
import { gateway, gatewayClass, type RouteStatus, route, service, to } from "../../../kit/gateway-api.ts";
import { compiled } from "./compiled.ts";

const base = [gatewayClass(), gateway("web"), service("shop-stable", 80), service("shop-canary", 80)];
const stable = to("shop-stable", 80);
const set = (name: string, value: string) => ({ set: [{ name, value }] });
const request = (edits: object) => ({ type: "RequestHeaderModifier", requestHeaderModifier: edits });
const response = (edits: object) => ({ type: "ResponseHeaderModifier", responseHeaderModifier: edits });
const mirror = (name: string) => ({ type: "RequestMirror", requestMirror: { backendRef: to(name, 80) } });

/** What `PartiallyInvalid` says of the route; undefined if it is served as it is written. */
function toldOf(...rules: readonly object[]): string | undefined {
  const result = compiled([...base, route("shop", rules)]);
  expect(result.parts.routes).toHaveLength(rules.length);
  const [parent] = (result.status("HTTPRoute", "shop") as unknown as RouteStatus).parents;
  expect(parent?.conditions).toContainEqual(expect.objectContaining({ type: "Accepted", status: "True" }));
  return parent?.conditions?.find(({ type }) => type === "PartiallyInvalid")?.message;
}

describe("what is not served as it is written is told in the route's status", () => {
  const withFilters = (...filters: readonly object[]) => ({ filters, backendRefs: [stable] });
  const ofBackend = (filter: object) => ({
    backendRefs: [to("shop-stable", 80, 1, { filters: [filter] }), to("shop-canary", 80, 1)],
  });
  const cases: readonly [sentence: string, rule: object, message: string | undefined][] = [
    ["edits that Perch makes", withFilters(request(set("x-a", "b")), response({ remove: ["server"] })), undefined],
    [
      "an edit of a header of the connection",
      withFilters(request(set("connection", "x"))),
      "rules[0]: the edit of the request header connection",
    ],
    [
      "an edit of what Perch itself says",
      withFilters(request({ remove: ["forwarded"] })),
      "rules[0]: the edit of the request header forwarded",
    ],
    ["a value with ${", withFilters(request(set("x-a", "$" + "{b}"))), "rules[0]: the edit of the request header x-a"],
    [
      "an edit of a response's length",
      withFilters(response(set("content-length", "3"))),
      "rules[0]: the edit of the response header content-length",
    ],
    [
      "a variable of Envoy's",
      withFilters(response(set("server", "%PERCENT%"))),
      "rules[0]: the edit of the response header server",
    ],
    [
      "an edit for one of several backends",
      ofBackend(request(set("connection", "x"))),
      "rules[0].backendRefs[0]: the edit of the request header connection",
    ],
    ["a mirror", withFilters(mirror("shop-canary")), undefined],
    ["a second mirror", withFilters(mirror("shop-canary"), mirror("shop-stable")), "rules[0].filters[1]: a release"],
    [
      "an origin that CORS of Perch does not know",
      withFilters({ type: "CORS", cors: { allowOrigins: ["https://a.test", "x"] } }),
      "rules[0]: CORS for the origins x",
    ],
    [
      "edits beside a redirect",
      {
        filters: [{ type: "RequestRedirect", requestRedirect: { hostname: "b.test" } }, response(set("x-a", "b"))],
      },
      "rules[0]: responseHeaders beside a redirect",
    ],
    [
      "an edit of what CORS sets",
      withFilters(
        { type: "CORS", cors: { allowOrigins: ["https://a.test"] } },
        response(set("access-control-max-age", "3")),
      ),
      "its rules: the edit of the response header access-control-max-age",
    ],
    [
      "a session by a header",
      { sessionPersistence: { type: "Header", sessionName: "x-s" }, backendRefs: [stable, to("shop-canary", 80)] },
      "rules[0].sessionPersistence.type Header",
    ],
  ];
  test.each(cases)("%s", (_sentence, rule, message) => {
    if (message === undefined) expect(toldOf(rule)).toBeUndefined();
    else expect(toldOf(rule)).toContain(message);
  });

  test("a match among others that does not load", () => {
    const exact = (value: string) => ({ path: { type: "Exact", value } });
    expect(toldOf({ matches: [exact("/a")], backendRefs: [stable] })).toBeUndefined();
    const result = compiled([
      ...base,
      route("shop", [{ matches: [exact("/../b"), exact("/a")], backendRefs: [stable] }]),
    ]);
    expect(result.parts.routes).toHaveLength(1);
    expect(JSON.stringify(result.status("HTTPRoute", "shop"))).toContain("the route shop-shop is left out");
  });
});
