import { gateway, httpListener, route } from "../../../kit/gateway-api.ts";
import { none, ok, path, type RoutingCase, ref, to } from "./routing-case.ts";

/**
 * Routing cases of the Gateway API's conformance suite (v1.4) for HTTPRoutes, as data: those of listeners. What its tests apply,
 * ask and expect; names and paths are ours.
 */
export const listenerCases: readonly RoutingCase[] = [
  {
    sentence: "hostnames of listeners, and sectionName",
    gateways: [
      gateway("web", [
        { ...httpListener, name: "one", hostname: "bar.com" },
        { ...httpListener, name: "two", hostname: "foo.bar.com" },
        { ...httpListener, name: "three", hostname: "*.bar.com" },
        { ...httpListener, name: "four", hostname: "*.foo.com" },
      ]),
    ],
    objects: [
      route("first", [{ backendRefs: [ref("v1")] }], { parents: [{ name: "web", sectionName: "one" }] }),
      route("second", [{ backendRefs: [ref("v2")] }], { parents: [{ name: "web", sectionName: "two" }] }),
      route("third", [{ backendRefs: [ref("v3")] }], {
        parents: [
          { name: "web", sectionName: "three" },
          { name: "web", sectionName: "four" },
        ],
      }),
    ],
    requests: [
      [{ host: "bar.com" }, ok("v1")],
      [{ host: "foo.bar.com" }, ok("v2")],
      [{ host: "baz.bar.com" }, ok("v3")],
      [{ host: "boo.bar.com" }, ok("v3")],
      [{ host: "multiple.prefixes.bar.com" }, ok("v3")],
      [{ host: "multiple.prefixes.foo.com" }, ok("v3")],
      [{ host: "foo.com" }, none],
      [{ host: "no.matching.host" }, none],
    ],
  },
  {
    sentence: "the intersection of the hostnames of listeners and routes",
    gateways: [
      gateway("web", [
        { ...httpListener, name: "exact", hostname: "very.specific.com" },
        { ...httpListener, name: "wildcard", hostname: "*.wildcard.io" },
        { ...httpListener, name: "another", hostname: "*.anotherwildcard.io" },
      ]),
    ],
    objects: [
      route("exact", [to("v1", path("/s1"))], {
        hostnames: ["non.matching.com", "*.nonmatchingwildcard.io", "very.specific.com"],
      }),
      route("wildcard", [to("v2", path("/s2"))], {
        hostnames: ["non.matching.com", "wildcard.io", "foo.wildcard.io", "bar.wildcard.io", "foo.bar.wildcard.io"],
      }),
      route("wider", [to("v3", path("/s3"))], { hostnames: ["*.specific.com"] }),
      route("any", [to("v1", path("/s4"))], { hostnames: ["*.anotherwildcard.io"] }),
    ],
    requests: [
      [{ host: "very.specific.com", path: "/s1" }, ok("v1")],
      [{ host: "very.specific.com", path: "/s3" }, ok("v3")],
      [{ host: "very.specific.com:1234", path: "/s1" }, ok("v1")],
      [{ host: "non.matching.com", path: "/s1" }, none],
      [{ host: "foo.nonmatchingwildcard.io", path: "/s1" }, none],
      [{ host: "very.specific.com", path: "/non-matching" }, none],
      [{ host: "foo.wildcard.io", path: "/s2" }, ok("v2")],
      [{ host: "bar.wildcard.io", path: "/s2" }, ok("v2")],
      [{ host: "foo.bar.wildcard.io", path: "/s2" }, ok("v2")],
      [{ host: "wildcard.io", path: "/s2" }, none],
      [{ host: "other.specific.com", path: "/s3" }, none],
      [{ host: "one.anotherwildcard.io", path: "/s4" }, ok("v1")],
      [{ host: "one.two.three.anotherwildcard.io", path: "/s4" }, ok("v1")],
      [{ host: "anotherwildcard.io", path: "/s4" }, none],
    ],
  },
  {
    sentence: "listeners of one port are isolated: the most specific one has a host, with its routes only",
    gateways: [
      gateway("web", [
        { ...httpListener, name: "empty" },
        { ...httpListener, name: "com", hostname: "*.example.com" },
        { ...httpListener, name: "foo", hostname: "*.foo.example.com" },
        { ...httpListener, name: "abc", hostname: "abc.foo.example.com" },
      ]),
    ],
    objects: ["empty", "com", "foo", "abc"].map((section) =>
      route(`of-${section}`, [to("v1", path(`/${section}`))], { parents: [{ name: "web", sectionName: section }] }),
    ),
    requests: [
      [{ host: "bar.com", path: "/empty" }, ok("v1")],
      [{ host: "bar.com", path: "/com" }, none],
      [{ host: "bar.example.com", path: "/com" }, ok("v1")],
      [{ host: "bar.example.com", path: "/empty" }, none],
      [{ host: "bar.foo.example.com", path: "/foo" }, ok("v1")],
      [{ host: "bar.foo.example.com", path: "/com" }, none],
      [{ host: "abc.foo.example.com", path: "/abc" }, ok("v1")],
      [{ host: "abc.foo.example.com", path: "/foo" }, none],
      [{ host: "abc.foo.example.com", path: "/empty" }, none],
    ],
  },
  {
    sentence: "ports of listeners, by sectionName, by port and by the whole Gateway",
    gateways: [
      gateway("web", [
        { ...httpListener, name: "one" },
        { ...httpListener, name: "two", port: 8090 },
      ]),
    ],
    objects: [
      route("section", [to("v1", path("/section"))], { parents: [{ name: "web", sectionName: "two" }] }),
      route("port", [to("v2", path("/port"))], { parents: [{ name: "web", port: 80 }] }),
      route("both", [to("v3", path("/both"))]),
    ],
    requests: [
      [{ path: "/section" }, none],
      [{ path: "/section", port: 8090 }, ok("v1")],
      [{ path: "/port" }, ok("v2")],
      [{ path: "/port", port: 8090 }, none],
      [{ path: "/both" }, ok("v3")],
      [{ path: "/both", port: 8090 }, ok("v3")],
    ],
  },
];
