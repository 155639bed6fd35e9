import { route } from "../../../kit/gateway-api.ts";
import { filter, ok, one, path, type RoutingCase, ref, to } from "./routing-case.ts";

/**
 * Routing cases of the Gateway API's conformance suite (v1.4) for HTTPRoutes, as data: those of filters. What its tests apply,
 * ask and expect; names and paths are ours.
 */
export const filterCases: readonly RoutingCase[] = [
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
