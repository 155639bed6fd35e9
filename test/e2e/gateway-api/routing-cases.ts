import { gateway, grant, httpListener, type RouteParts, route } from "../../kit/gateway-api.ts";
import type { DraftObject } from "../../kit/kubernetes-objects.ts";

/** The backends v1, v2 and v3 in the namespace `shop`, and `red` in the namespace `other`; each of port 8080. */
export type BackendName = "v1" | "v2" | "v3" | "red";

export interface RoutedRequest {
  readonly path?: string;
  readonly host?: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Of the Gateway. Default: 80. */
  readonly port?: 80 | 8090;
}

/** What the client gets, and what the backend got. */
export interface Wanted {
  /** Default: 200. */
  readonly status?: number;
  readonly backend?: BackendName;
  readonly seen?: {
    readonly path?: string;
    readonly host?: string;
    /** null: the backend did not get it. */
    readonly headers?: Readonly<Record<string, string | null>>;
  };
  readonly headers?: Readonly<Record<string, string | null>>;
  /** Of a redirect. */
  readonly location?: string;
}

export interface RoutingCase {
  readonly sentence: string;
  /** Default: one Gateway `web` with a listener for port 80. */
  readonly gateways?: readonly DraftObject[];
  readonly objects: readonly DraftObject[];
  readonly requests: readonly (readonly [request: RoutedRequest, wanted: Wanted])[];
}

const ref = (name: BackendName, more: object = {}): object => ({ name, port: 8080, ...more });
const path = (value: string, type = "PathPrefix") => ({ path: { type, value } });
const to = (name: BackendName, ...matches: readonly object[]): object => ({ matches, backendRefs: [ref(name)] });
const header = (name: string, value: string, type = "Exact") => ({ name, value, type });
const one = (rule: object, parts: RouteParts = {}): DraftObject => route("one", [rule], parts);
const filter = (type: string, key: string, value: object) => ({ type, [key]: value });
const ok = (backend: BackendName): Wanted => ({ backend });
const none: Wanted = { status: 404 };

/**
 * The routing cases of the Gateway API's conformance suite (v1.4) for HTTPRoutes, as data: what its tests apply, ask and
 * expect. Names and paths are ours.
 */
export const routingCases: readonly RoutingCase[] = [
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
  {
    sentence: "edits of request headers",
    objects: [
      route("one", [
        {
          ...to("v1", path("/set")),
          filters: [
            filter("RequestHeaderModifier", "requestHeaderModifier", {
              set: [{ name: "X-Set", value: "overwritten" }],
            }),
          ],
        },
        {
          ...to("v1", path("/add")),
          filters: [
            filter("RequestHeaderModifier", "requestHeaderModifier", { add: [{ name: "X-Add", value: "appended" }] }),
          ],
        },
        {
          ...to("v1", path("/remove")),
          filters: [filter("RequestHeaderModifier", "requestHeaderModifier", { remove: ["X-Remove"] })],
        },
        {
          ...to("v1", path("/several")),
          filters: [
            filter("RequestHeaderModifier", "requestHeaderModifier", {
              set: [
                { name: "X-Set-1", value: "1" },
                { name: "X-Set-2", value: "2" },
              ],
              add: [{ name: "X-Add-1", value: "1" }],
              remove: ["X-Remove-1", "X-Remove-2"],
            }),
          ],
        },
      ]),
    ],
    requests: [
      [
        { path: "/set", headers: { "x-other": "val" } },
        { backend: "v1", seen: { headers: { "x-set": "overwritten", "x-other": "val" } } },
      ],
      [
        { path: "/set", headers: { "x-set": "mine" } },
        { backend: "v1", seen: { headers: { "x-set": "overwritten" } } },
      ],
      [{ path: "/add" }, { backend: "v1", seen: { headers: { "x-add": "appended" } } }],
      [
        { path: "/add", headers: { "x-add": "mine" } },
        { backend: "v1", seen: { headers: { "x-add": "mine, appended" } } },
      ],
      [
        { path: "/remove", headers: { "x-remove": "val" } },
        { backend: "v1", seen: { headers: { "x-remove": null } } },
      ],
      [
        { path: "/several", headers: { "x-set-1": "a", "x-add-1": "a", "x-remove-1": "a", "X-Remove-2": "b" } },
        {
          backend: "v1",
          seen: {
            headers: { "x-set-1": "1", "x-set-2": "2", "x-add-1": "a, 1", "x-remove-1": null, "x-remove-2": null },
          },
        },
      ],
    ],
  },
  {
    sentence: "edits of response headers",
    objects: [
      one({
        ...to("v1", path("/")),
        filters: [
          filter("ResponseHeaderModifier", "responseHeaderModifier", {
            set: [{ name: "x-set", value: "overwritten" }],
            add: [{ name: "x-add", value: "appended" }],
            remove: ["x-remove"],
          }),
        ],
      }),
    ],
    requests: [
      [
        { headers: { "x-answer": JSON.stringify({ "x-set": "a", "x-add": "a", "x-remove": "a" }) } },
        { backend: "v1", headers: { "x-set": "overwritten", "x-add": "a, appended", "x-remove": null } },
      ],
    ],
  },
  {
    sentence: "edits of headers for one backend",
    objects: [
      one({
        backendRefs: [
          ref("v1", {
            filters: [
              filter("RequestHeaderModifier", "requestHeaderModifier", { set: [{ name: "x-set", value: "v1" }] }),
            ],
          }),
          ref("v2", { weight: 0 }),
        ],
      }),
    ],
    requests: [[{}, { backend: "v1", seen: { headers: { "x-set": "v1" } } }]],
  },
  {
    sentence: "redirects of the host, the status, the scheme, the port and the path",
    objects: [
      route("one", [
        {
          matches: [path("/host")],
          filters: [filter("RequestRedirect", "requestRedirect", { hostname: "example.org" })],
        },
        {
          matches: [path("/status")],
          filters: [filter("RequestRedirect", "requestRedirect", { hostname: "example.org", statusCode: 301 })],
        },
        { matches: [path("/scheme")], filters: [filter("RequestRedirect", "requestRedirect", { scheme: "https" })] },
        { matches: [path("/port")], filters: [filter("RequestRedirect", "requestRedirect", { port: 8083 })] },
        {
          matches: [path("/prefix")],
          filters: [
            filter("RequestRedirect", "requestRedirect", {
              path: { type: "ReplacePrefixMatch", replacePrefixMatch: "/new" },
            }),
          ],
        },
        {
          matches: [path("/full")],
          filters: [
            filter("RequestRedirect", "requestRedirect", {
              path: { type: "ReplaceFullPath", replaceFullPath: "/whole" },
            }),
          ],
        },
        {
          matches: [path("/308")],
          filters: [filter("RequestRedirect", "requestRedirect", { hostname: "example.org", statusCode: 308 })],
        },
      ]),
    ],
    requests: [
      [
        { host: "a.test", path: "/host" },
        { status: 302, location: "http://example.org/host" },
      ],
      [
        { host: "a.test", path: "/status" },
        { status: 301, location: "http://example.org/status" },
      ],
      [
        { host: "a.test", path: "/scheme" },
        { status: 302, location: "https://a.test/scheme" },
      ],
      [
        { host: "a.test", path: "/port" },
        { status: 302, location: "http://a.test:8083/port" },
      ],
      [
        { host: "a.test", path: "/prefix/lemon?q=1" },
        { status: 302, location: "http://a.test/new/lemon?q=1" },
      ],
      [
        { host: "a.test", path: "/full/lemon" },
        { status: 302, location: "http://a.test/whole" },
      ],
      [
        { host: "a.test", path: "/308" },
        { status: 308, location: "http://example.org/308" },
      ],
    ],
  },
  {
    sentence: "rewrites of the path and the host",
    objects: [
      route("one", [
        {
          ...to("v1", path("/prefix/one")),
          filters: [
            filter("URLRewrite", "urlRewrite", { path: { type: "ReplacePrefixMatch", replacePrefixMatch: "/one" } }),
          ],
        },
        {
          ...to("v1", path("/full/one")),
          filters: [filter("URLRewrite", "urlRewrite", { path: { type: "ReplaceFullPath", replaceFullPath: "/one" } })],
        },
        {
          ...to("v1", path("/strip")),
          filters: [
            filter("URLRewrite", "urlRewrite", { path: { type: "ReplacePrefixMatch", replacePrefixMatch: "/" } }),
          ],
        },
        { ...to("v2", path("/host")), filters: [filter("URLRewrite", "urlRewrite", { hostname: "one.example.org" })] },
      ]),
    ],
    requests: [
      [{ path: "/prefix/one/two" }, { backend: "v1", seen: { path: "/one/two" } }],
      [{ path: "/full/one/two" }, { backend: "v1", seen: { path: "/one" } }],
      [{ path: "/strip/three" }, { backend: "v1", seen: { path: "/three" } }],
      [{ path: "/strip" }, { backend: "v1", seen: { path: "/" } }],
      [{ path: "/host" }, { backend: "v2", seen: { path: "/host", host: "one.example.org" } }],
    ],
  },
  {
    sentence: "a backend in another namespace, by a ReferenceGrant",
    objects: [
      one({ backendRefs: [ref("red", { namespace: "other" })] }),
      grant("other", { kind: "HTTPRoute", namespace: "shop" }, { kind: "Service", name: "red" }),
    ],
    requests: [[{}, ok("red")]],
  },
  {
    sentence: "a backend in another namespace without one, or with one for others: 500",
    objects: [
      one({ backendRefs: [ref("red", { namespace: "other" })] }),
      grant("other", { kind: "HTTPRoute", namespace: "third" }, { kind: "Service" }),
    ],
    requests: [[{}, { status: 500 }]],
  },
  {
    sentence: "a route in another namespace than its Gateway's, where listeners allow it",
    gateways: [gateway("web", [{ ...httpListener, allowedRoutes: { namespaces: { from: "All" } } }])],
    objects: [
      route("there", [{ backendRefs: [ref("red")] }], {
        namespace: "other",
        parents: [{ name: "web", namespace: "shop" }],
      }),
    ],
    requests: [[{}, ok("red")]],
  },
  {
    sentence: "backends that are missing, of another kind or not named at all: 500, and the other rules serve",
    objects: [
      route("one", [
        { matches: [path("/missing")], backendRefs: [{ name: "nonexistent", port: 8080 }] },
        { matches: [path("/port")], backendRefs: [{ name: "v1", port: 1 }] },
        { matches: [path("/kind")], backendRefs: [ref("v1", { kind: "NonExistent" })] },
        { matches: [path("/none")] },
        { matches: [path("/zero")], backendRefs: [ref("v1", { weight: 0 }), ref("v2", { weight: 0 })] },
        to("v2", path("/fine")),
      ]),
    ],
    requests: [
      [{ path: "/missing" }, { status: 500 }],
      [{ path: "/port" }, { status: 500 }],
      [{ path: "/kind" }, { status: 500 }],
      [{ path: "/none" }, { status: 500 }],
      [{ path: "/zero" }, { status: 500 }],
      [{ path: "/fine" }, ok("v2")],
    ],
  },
  {
    sentence: "a filter that Perch does not know: 500, not past it",
    objects: [
      route("one", [
        {
          ...to("v1", path("/private")),
          filters: [filter("ExtensionRef", "extensionRef", { group: "example.com", kind: "Auth", name: "a" })],
        },
        to("v2", path("/")),
      ]),
    ],
    requests: [
      [{ path: "/private" }, { status: 500 }],
      [{ path: "/" }, ok("v2")],
    ],
  },
  {
    sentence: "CORS: preflights are answered, and origins allowed",
    objects: [
      one({
        ...to("v1", path("/")),
        filters: [
          filter("CORS", "cors", {
            allowOrigins: ["https://www.foo.com"],
            allowMethods: ["GET", "PUT"],
            allowHeaders: ["x-custom"],
            maxAge: 3600,
          }),
        ],
      }),
    ],
    requests: [
      [
        {
          method: "OPTIONS",
          headers: { origin: "https://www.foo.com", "access-control-request-method": "PUT" },
        },
        { status: 204, headers: { "access-control-allow-origin": "https://www.foo.com" } },
      ],
      [
        { headers: { origin: "https://www.foo.com" } },
        { backend: "v1", headers: { "access-control-allow-origin": "https://www.foo.com" } },
      ],
      [
        { headers: { origin: "https://evil.example" } },
        { backend: "v1", headers: { "access-control-allow-origin": null } },
      ],
    ],
  },
];
