import { route } from "../../../kit/gateway-api.ts";
import { header, none, ok, one, path, type RoutingCase, ref, to } from "./routing-case.ts";

/**
 * Routing cases of the Gateway API's conformance suite (v1.4) for HTTPRoutes, as data: those of matches. What its tests apply,
 * ask and expect; names and paths are ours.
 */
export const matchingCases: readonly RoutingCase[] = [
  {
    sentence: "a simple route",
    objects: [one({ backendRefs: [ref("v1")] })],
    requests: [[{ path: "/any?x=1" }, ok("v1")]],
  },
  {
    sentence: "exact paths",
    objects: [one(to("v1", path("/one", "Exact"), path("/two", "Exact")))],
    requests: [
      [{ path: "/one" }, ok("v1")],
      [{ path: "/two" }, ok("v1")],
      [{ path: "/" }, none],
      [{ path: "/one/example" }, none],
      [{ path: "/Two" }, none],
      [{ path: "/two/" }, none],
    ],
  },
  {
    sentence: "prefixes of whole segments, and headers beside them",
    objects: [
      route("one", [
        to("v1", path("/"), { headers: [header("version", "one")] }),
        to("v2", path("/v2"), { headers: [header("version", "two")] }),
      ]),
    ],
    requests: [
      [{ path: "/" }, ok("v1")],
      [{ path: "/example" }, ok("v1")],
      [{ path: "/", headers: { version: "one" } }, ok("v1")],
      [{ path: "/v2" }, ok("v2")],
      [{ path: "/v2/example" }, ok("v2")],
      [{ path: "/", headers: { version: "two" } }, ok("v2")],
      [{ path: "/v2example" }, ok("v1")],
      [{ path: "/foo/v2/example" }, ok("v1")],
    ],
  },
  {
    sentence: "the order of paths: exact ones, then longer prefixes, whatever their order in the route",
    objects: [
      route("one", [
        to("v2", path("/match/prefix")),
        to("v3", path("/match/prefix/one")),
        to("v1", path("/match/exact", "Exact")),
        to("v3", path("/match")),
      ]),
    ],
    requests: [
      [{ path: "/match/exact" }, ok("v1")],
      [{ path: "/match/prefix" }, ok("v2")],
      [{ path: "/match/prefix/one/any" }, ok("v3")],
      [{ path: "/match/any" }, ok("v3")],
    ],
  },
  {
    sentence: "headers: all of a match, by any spelling of their names, more of them first",
    objects: [
      route("one", [
        to("v1", { headers: [header("version", "one")] }),
        to("v2", { headers: [header("version", "two")] }),
        to("v1", { headers: [header("version", "two"), header("color", "orange")] }),
        to("v2", { headers: [header("color", "blue")] }, { headers: [header("color", "green")] }),
        to("v1", { headers: [header("color", "red"), header("color", "yellow")] }),
      ]),
    ],
    requests: [
      [{ headers: { Version: "one" } }, ok("v1")],
      [{ headers: { version: "two" } }, ok("v2")],
      [{ headers: { version: "two", color: "orange" } }, ok("v1")],
      [{ headers: { color: "blue" } }, ok("v2")],
      [{ headers: { color: "green" } }, ok("v2")],
      [{ headers: { color: "red" } }, ok("v1")],
      [{ headers: { color: "yellow" } }, none],
      [{ headers: { color: "purple" } }, none],
      [{}, none],
    ],
  },
  {
    sentence: "headers by regular expression",
    objects: [one(to("v1", { headers: [header("version", "v[0-9]+", "RegularExpression")] }))],
    requests: [
      [{ headers: { version: "v12" } }, ok("v1")],
      [{ headers: { version: "xv12" } }, none],
    ],
  },
  {
    sentence: "query parameters",
    objects: [
      route("one", [
        to("v1", { queryParams: [header("animal", "whale")] }),
        to("v2", { queryParams: [header("animal", "dolphin")] }),
        to("v3", { queryParams: [header("animal", "dolphin"), header("color", "blue")] }),
      ]),
    ],
    requests: [
      [{ path: "/?animal=whale" }, ok("v1")],
      [{ path: "/?animal=dolphin" }, ok("v2")],
      [{ path: "/?animal=dolphin&color=blue" }, ok("v3")],
      [{ path: "/?ANIMAL=whale" }, none],
      [{ path: "/?color=blue" }, none],
      [{ path: "/" }, none],
    ],
  },
  {
    sentence: "methods, which come before headers and parameters",
    objects: [
      route("one", [
        to("v1", { method: "POST" }),
        to("v2", { method: "GET" }),
        to("v3", { headers: [header("version", "four")] }),
        to("v1", { ...path("/path5") }),
        to("v3", { ...path("/path5"), method: "PATCH" }),
      ]),
    ],
    requests: [
      [{ method: "POST" }, ok("v1")],
      [{}, ok("v2")],
      [{ method: "HEAD" }, none],
      [{ method: "GET", headers: { version: "four" } }, ok("v2")],
      [{ method: "PUT", headers: { version: "four" } }, ok("v3")],
      [{ method: "PATCH", path: "/path5" }, ok("v3")],
      [{ method: "GET", path: "/path5" }, ok("v1")],
    ],
  },
  {
    sentence: "matches across routes: by host, then by path, then the older",
    objects: [
      route("part1", [to("v1", path("/"), { headers: [header("version", "one")] })], {
        hostnames: ["example.com", "example.net"],
        created: "2026-02-01T00:00:00Z",
      }),
      route("part2", [to("v2", path("/v2"), { headers: [header("version", "two")] })], {
        hostnames: ["example.com"],
        created: "2026-02-02T00:00:00Z",
      }),
      route("a-younger", [to("v3", path("/"))], { hostnames: ["example.com"], created: "2026-02-03T00:00:00Z" }),
    ],
    requests: [
      [{ host: "example.com" }, ok("v1")],
      [{ host: "example.com", path: "/example" }, ok("v1")],
      [{ host: "example.net", path: "/example" }, ok("v1")],
      [{ host: "example.com", path: "/v2" }, ok("v2")],
      [{ host: "example.com", headers: { version: "two" } }, ok("v2")],
      [{ host: "example.net", path: "/v2" }, ok("v1")],
      [{ host: "example.org" }, none],
    ],
  },
];
