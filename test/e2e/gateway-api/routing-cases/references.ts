import { gateway, grant, httpListener, route } from "../../../kit/gateway-api.ts";
import { ok, one, path, type RoutingCase, ref, to } from "./routing-case.ts";

/**
 * Routing cases of the Gateway API's conformance suite (v1.4) for HTTPRoutes, as data: those of references. What its tests apply,
 * ask and expect; names and paths are ours.
 */
export const referenceCases: readonly RoutingCase[] = [
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
];
