import { describe, expect, test } from "vitest";
import { testCertificate, testKey } from "../../../kit/certificate.ts";
import {
  conditionsIn,
  gateway,
  gatewayClass,
  grant,
  httpListener,
  namespace,
  route,
  service,
  to,
} from "../../../kit/gateway-api.ts";
import type { DraftObject } from "../../../kit/kubernetes-objects.ts";
import { compiled, listenerStatus, routeConditions } from "./compiled.ts";

const base = [gatewayClass(), namespace("shop"), namespace("other", { team: "red" }), service("shop", 80)];
const accepted = "Accepted=True/Accepted";
const resolved = "ResolvedRefs=True/ResolvedRefs";
const usual = ["Accepted=True/Accepted", "Conflicted=False/NoConflicts", "Programmed=True/Programmed", resolved];
interface Merged {
  readonly parentRef: { readonly name: string };
  readonly conditions: readonly { readonly type: string }[];
}

const toShop = [{ backendRefs: [to("shop", 80)] }];

describe("a route's conditions", () => {
  const cases: readonly {
    readonly sentence: string;
    readonly listeners?: readonly object[];
    readonly object: DraftObject;
    readonly more?: readonly DraftObject[];
    readonly wanted: readonly string[];
  }[] = [
    { sentence: "fits", object: route("r", toShop), wanted: [accepted, resolved] },
    {
      sentence: "names a listener that is not there",
      object: route("r", toShop, { parents: [{ name: "web", sectionName: "http1" }] }),
      wanted: ["Accepted=False/NoMatchingParent", resolved],
    },
    {
      sentence: "names a port without a listener",
      object: route("r", toShop, { parents: [{ name: "web", port: 81 }] }),
      wanted: ["Accepted=False/NoMatchingParent", resolved],
    },
    {
      sentence: "names a listener whose port Perch does not have",
      listeners: [{ ...httpListener, port: 8081 }],
      object: route("r", toShop),
      wanted: ["Accepted=False/NoMatchingParent", resolved],
    },
    {
      sentence: "has no hostname of the listener",
      listeners: [{ ...httpListener, hostname: "foo.example.com" }],
      object: route("r", toShop, { hostnames: ["bar.example.com"] }),
      wanted: ["Accepted=False/NoMatchingListenerHostname", resolved],
    },
    {
      sentence: "is in a namespace that the listener does not allow",
      object: route("r", [{ backendRefs: [to("other", 80)] }], {
        namespace: "other",
        parents: [{ name: "web", namespace: "shop" }],
      }),
      more: [service("other", 80, { namespace: "other" })],
      wanted: ["Accepted=False/NotAllowedByListeners", resolved],
    },
    {
      sentence: "is in a namespace with the label that the listener wants",
      listeners: [
        {
          ...httpListener,
          allowedRoutes: { namespaces: { from: "Selector", selector: { matchLabels: { team: "red" } } } },
        },
      ],
      object: route("r", [{ backendRefs: [to("other", 80)] }], {
        namespace: "other",
        parents: [{ name: "web", namespace: "shop" }],
      }),
      more: [service("other", 80, { namespace: "other" })],
      wanted: [accepted, resolved],
    },
    {
      sentence: "is of a kind that the listener does not allow",
      listeners: [{ ...httpListener, allowedRoutes: { kinds: [{ kind: "GRPCRoute" }] } }],
      object: route("r", toShop),
      wanted: ["Accepted=False/NotAllowedByListeners", resolved],
    },
    {
      sentence: "has a backend that does not exist",
      object: route("r", [{ backendRefs: [to("nonexistent", 80)] }]),
      wanted: [accepted, "ResolvedRefs=False/BackendNotFound"],
    },
    {
      sentence: "has a backend without that port",
      object: route("r", [{ backendRefs: [to("shop", 81)] }]),
      wanted: [accepted, "ResolvedRefs=False/BackendNotFound"],
    },
    {
      sentence: "has a backend outside of the cluster",
      object: route("r", [{ backendRefs: [to("away", 80)] }]),
      more: [service("away", 80, { more: { type: "ExternalName", externalName: "example.com" } })],
      wanted: [accepted, "ResolvedRefs=False/BackendNotFound"],
    },
    {
      sentence: "has a backend of another kind",
      object: route("r", [{ backendRefs: [to("shop", 80, 1, { kind: "NonExistent" })] }]),
      wanted: [accepted, "ResolvedRefs=False/InvalidKind"],
    },
    {
      sentence: "has a backend in another namespace, which no ReferenceGrant allows",
      object: route("r", [{ backendRefs: [to("other", 80, 1, { namespace: "other" })] }]),
      more: [service("other", 80, { namespace: "other" })],
      wanted: [accepted, "ResolvedRefs=False/RefNotPermitted"],
    },
    {
      sentence: "has a backend in another namespace, which a ReferenceGrant allows",
      object: route("r", [{ backendRefs: [to("other", 80, 1, { namespace: "other" })] }]),
      more: [
        service("other", 80, { namespace: "other" }),
        grant("other", { kind: "HTTPRoute", namespace: "shop" }, { kind: "Service", name: "other" }),
      ],
      wanted: [accepted, resolved],
    },
    {
      sentence: "has a filter that Perch does not know",
      object: route("r", [
        {
          filters: [{ type: "ExtensionRef", extensionRef: { group: "example.com", kind: "Auth", name: "a" } }],
          backendRefs: [to("shop", 80)],
        },
      ]),
      wanted: [accepted, "PartiallyInvalid=True/UnsupportedValue", resolved],
    },
    {
      sentence: "has nothing but a match without an equivalent",
      object: route("r", [
        { matches: [{ path: { type: "RegularExpression", value: "/(?=x)" } }], backendRefs: [to("shop", 80)] },
      ]),
      wanted: ["Accepted=False/UnsupportedValue", resolved],
    },
    {
      sentence: "has no hostname that Perch could serve",
      object: route("r", toShop, { hostnames: ["a..b"] }),
      wanted: ["Accepted=False/UnsupportedValue", resolved],
    },
  ];
  test.each(cases)("$sentence", ({ listeners, object, more = [], wanted }) => {
    const result = compiled([...base, gateway("web", listeners), object, ...more]);
    expect(routeConditions(result, "r")).toEqual(wanted);
    const isAccepted = wanted.includes(accepted);
    expect(listenerStatus(result, "web", "http").attached).toBe(isAccepted ? 1 : 0);
  });

  test("are not written for Gateways of others, nor for ones that do not exist", () => {
    const classes = [
      gatewayClass("theirs", "example.com/gateway"),
      gateway("theirs", [httpListener], { className: "theirs" }),
    ];
    const parents = [{ name: "theirs" }, { name: "nowhere" }, { kind: "Service", group: "", name: "shop" }];
    const result = compiled([...base, ...classes, route("r", toShop, { parents })]);
    expect(result.status("HTTPRoute", "r")).toEqual({});
    expect(result.status("Gateway", "theirs")).toEqual({});
    expect(result.parts.routes).toEqual([]);
  });

  test("keep what other controllers wrote, the time of what stays, and go with the last parent of ours", () => {
    const theirs = { controllerName: "example.com/gateway", parentRef: { name: "theirs" }, conditions: [] };
    const result = compiled([...base, gateway("web"), route("r", toShop)]);
    const [wanted] = result.wanted("HTTPRoute", "r");
    const first = wanted?.merge({ parents: [theirs] }, 0) as { parents: [typeof theirs, typeof theirs] };
    expect(first.parents[0]).toEqual(theirs);
    expect(wanted?.merge(first, 60_000)).toEqual(first);
    const other = compiled([...base, gateway("web"), route("r", [{ backendRefs: [to("gone", 80)] }])]);
    const [changed] = other.wanted("HTTPRoute", "r");
    const second = changed?.merge(first, 60_000) as { parents: [unknown, { conditions: readonly object[] }] };
    expect(second.parents[1].conditions).toMatchObject([
      { type: "Accepted", lastTransitionTime: "1970-01-01T00:00:00Z" },
      { type: "ResolvedRefs", status: "False", lastTransitionTime: "1970-01-01T00:01:00Z", observedGeneration: 1 },
    ]);
  });

  test("stay in their place among those of others, whichever order others write", () => {
    const parents = [{ name: "web" }, { name: "second" }];
    const second = gateway("second", [{ ...httpListener, hostname: "second.test" }]);
    const result = compiled([...base, gateway("web"), second, route("r", toShop, { parents })]);
    const entry = (controllerName: string, name: string) => ({ controllerName, parentRef: { name }, conditions: [] });
    const theirs = entry("example.com/gateway", "theirs");
    const [wanted] = result.wanted("HTTPRoute", "r");
    const merge = (...before: readonly object[]) =>
      (wanted?.merge({ parents: before }, 0) ?? {}) as { parents?: readonly Merged[] };
    const merged = (...before: readonly object[]) => merge(...before).parents?.map(({ parentRef }) => parentRef.name);
    const ours = (name: string) => entry("perch.dev/gateway", name);
    expect(merged(ours("second"), theirs)).toEqual(["second", "theirs", "web"]);
    expect(merged(ours("second"), theirs, ours("gone"), ours("web"))).toEqual(["second", "theirs", "web"]);
    const foreign = { type: "example.com/Seen", status: "True" };
    const mine = { type: "ResolvedRefs", status: "True" };
    const [kept] = merge({ ...ours("web"), conditions: [mine, foreign] }).parents ?? [];
    expect(kept?.conditions.map(({ type }) => type)).toEqual(["ResolvedRefs", "example.com/Seen", "Accepted"]);
  });
});

const secret = (name: string, data: object, inNamespace = "shop"): DraftObject => ({
  apiVersion: "v1",
  kind: "Secret",
  metadata: { name, namespace: inNamespace },
  data: Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value).toString("base64")])),
});
const certificate = { "tls.crt": testCertificate, "tls.key": testKey };
const https = (ref: object, more: object = {}) => ({
  name: "https",
  port: 443,
  protocol: "HTTPS",
  tls: { mode: "Terminate", certificateRefs: [ref] },
  ...more,
});

describe("a listener's conditions", () => {
  const cases: readonly {
    readonly sentence: string;
    readonly listener: object;
    readonly more?: readonly DraftObject[];
    readonly kinds?: readonly string[];
    readonly wanted: readonly string[];
  }[] = [
    { sentence: "HTTP", listener: httpListener, wanted: usual },
    {
      sentence: "a protocol that Perch does not serve",
      listener: { ...httpListener, protocol: "TCP" },
      wanted: [
        "Accepted=False/UnsupportedProtocol",
        "Conflicted=False/NoConflicts",
        "Programmed=False/Invalid",
        resolved,
      ],
    },
    {
      sentence: "a port that Perch does not have",
      listener: { ...httpListener, port: 8081 },
      wanted: ["Accepted=False/PortUnavailable", "Conflicted=False/NoConflicts", "Programmed=False/Invalid", resolved],
    },
    {
      sentence: "kinds of routes that Perch does not serve",
      listener: { ...httpListener, allowedRoutes: { kinds: [{ kind: "InvalidRoute" }] } },
      kinds: [],
      wanted: [
        "Accepted=True/Accepted",
        "Conflicted=False/NoConflicts",
        "Programmed=True/Programmed",
        "ResolvedRefs=False/InvalidRouteKinds",
      ],
    },
    {
      sentence: "some such kinds",
      listener: { ...httpListener, allowedRoutes: { kinds: [{ kind: "InvalidRoute" }, { kind: "HTTPRoute" }] } },
      kinds: ["HTTPRoute"],
      wanted: [
        "Accepted=True/Accepted",
        "Conflicted=False/NoConflicts",
        "Programmed=True/Programmed",
        "ResolvedRefs=False/InvalidRouteKinds",
      ],
    },
    { sentence: "HTTPS", listener: https({ name: "c" }), more: [secret("c", certificate)], wanted: usual },
    ...(
      [
        ["a Secret that does not exist", { name: "none" }, [], "InvalidCertificateRef"],
        [
          "a Secret without a certificate",
          { name: "c" },
          [secret("c", { "tls.crt": "x", "tls.key": "y" })],
          "InvalidCertificateRef",
        ],
        ["no Secret", { name: "c", kind: "ConfigMap" }, [secret("c", certificate)], "InvalidCertificateRef"],
        [
          "a Secret elsewhere",
          { name: "c", namespace: "other" },
          [secret("c", certificate, "other")],
          "RefNotPermitted",
        ],
      ] as const
    ).map(([sentence, ref, more, reason]) => ({
      sentence,
      listener: https(ref),
      more,
      wanted: [
        "Accepted=True/Accepted",
        "Conflicted=False/NoConflicts",
        "Programmed=False/Invalid",
        `ResolvedRefs=False/${reason}`,
      ],
    })),
    {
      sentence: "a Secret elsewhere that a ReferenceGrant allows",
      listener: https({ name: "c", namespace: "other" }),
      more: [
        secret("c", certificate, "other"),
        grant("other", { kind: "Gateway", namespace: "shop" }, { kind: "Secret", name: "c" }),
      ],
      wanted: usual,
    },
    {
      sentence: "TLS that is not ended",
      listener: { name: "https", port: 443, protocol: "HTTPS", tls: { mode: "Passthrough" } },
      wanted: [
        "Accepted=False/UnsupportedValue",
        "Conflicted=False/NoConflicts",
        "Programmed=False/Invalid",
        "ResolvedRefs=False/InvalidCertificateRef",
      ],
    },
    {
      sentence: "client certificates by CAs that do not exist",
      listener: https(
        { name: "c" },
        {
          tls: {
            certificateRefs: [{ name: "c" }],
            frontendValidation: { caCertificateRefs: [{ kind: "ConfigMap", name: "ca" }] },
          },
        },
      ),
      more: [secret("c", certificate)],
      wanted: [
        "Accepted=True/Accepted",
        "Conflicted=False/NoConflicts",
        "Programmed=False/Invalid",
        "ResolvedRefs=False/InvalidCACertificateRef",
      ],
    },
  ];
  test.each(cases)("$sentence", ({ listener, more = [], kinds = ["HTTPRoute", "GRPCRoute"], wanted }) => {
    const { name } = listener as { readonly name: string };
    const result = compiled([...base, gateway("web", [listener]), ...more]);
    const status = listenerStatus(result, "web", name);
    expect(status.conditions).toEqual(wanted);
    expect(status.kinds).toEqual(kinds);
    const isProgrammed = wanted.includes("Programmed=True/Programmed");
    const isAccepted = wanted.includes("Accepted=True/Accepted");
    expect(conditionsIn(result.status("Gateway", "web"))).toEqual([
      `Accepted=${isAccepted ? "True/Accepted" : "False/ListenersNotValid"}`,
      isProgrammed ? "Programmed=True/Programmed" : "Programmed=False/Invalid",
    ]);
  });

  test("of a hostname or protocol that another one has: none of them is served", () => {
    const same = { ...httpListener, name: "again" };
    const other = { ...httpListener, name: "foo", hostname: "foo.example.com" };
    const result = compiled([...base, gateway("web", [httpListener, same, other]), route("r", toShop)]);
    for (const name of ["http", "again"]) {
      expect(listenerStatus(result, "web", name).conditions).toContain("Conflicted=True/HostnameConflict");
    }
    expect(listenerStatus(result, "web", "foo").conditions).toEqual(usual);
    expect(listenerStatus(result, "web", "foo").attached).toBe(1);
    expect(result.parts.routes).toMatchObject([{ match: { listeners: ["web"], hosts: ["foo.example.com"] } }]);
  });

  test("of another port that one listener of Perch serves too: the first in the Gateway is served", () => {
    const ports = [80, 8080, 8081].map((port) => ({ port, listener: "web" }));
    const listeners = [
      httpListener,
      { ...httpListener, name: "second", port: 8080 },
      { ...httpListener, name: "own", port: 8081, hostname: "own.example.com" },
    ];
    const result = compiled([...base, gateway("web", listeners), route("r", toShop)], { ports });
    expect(listenerStatus(result, "web", "http").conditions).toEqual(usual);
    expect(listenerStatus(result, "web", "own").conditions).toEqual(usual);
    const [, second] = (result.status("Gateway", "web")["listeners"] ?? []) as readonly {
      readonly conditions: readonly { readonly message: string }[];
    }[];
    expect(conditionsIn(second)).toEqual([
      "Accepted=False/PortUnavailable",
      "Conflicted=False/NoConflicts",
      "Programmed=False/Invalid",
      resolved,
    ]);
    expect(second?.conditions[0]?.message).toBe("Perch's listener web serves port 80 for the listener http already");
    expect(result.parts.routes).toMatchObject([{ match: { hosts: ["own.example.com"] } }, { match: {} }]);
  });

  test("of another Gateway: the older one is served", () => {
    const young = gateway("a-young", [httpListener], { created: "2026-03-01T00:00:00Z" });
    const old = gateway("old", [httpListener], { created: "2026-02-01T00:00:00Z" });
    const result = compiled([...base, young, old]);
    expect(listenerStatus(result, "old", "http").conditions).toEqual(usual);
    expect(listenerStatus(result, "a-young", "http").conditions).toContain("Conflicted=True/HostnameConflict");
  });

  test("counts the routes of each", () => {
    const listeners = [
      { ...httpListener, name: "foo", hostname: "foo.example.com" },
      { ...httpListener, name: "any" },
    ];
    const routes = [
      route("all", toShop),
      route("foo", toShop, { hostnames: ["foo.example.com"] }),
      route("bar", toShop, { hostnames: ["bar.example.com"] }),
      route("section", toShop, { parents: [{ name: "web", sectionName: "any" }] }),
    ];
    const result = compiled([...base, gateway("web", listeners), ...routes]);
    expect(listenerStatus(result, "web", "foo").attached).toBe(2);
    expect(listenerStatus(result, "web", "any").attached).toBe(4);
  });

  test("counts routes of a listener without a certificate too", () => {
    const result = compiled([...base, gateway("web", [https({ name: "none" })]), route("r", toShop)]);
    expect(listenerStatus(result, "web", "https").attached).toBe(1);
    expect(routeConditions(result, "r")).toEqual([accepted, resolved]);
  });
});

describe("a Gateway's and a GatewayClass's conditions", () => {
  test("parameters are not accepted", () => {
    const withParameters = {
      ...gatewayClass("p"),
      spec: { controllerName: "perch.dev/gateway", parametersRef: { name: "x" } },
    };
    const infrastructure = { infrastructure: { parametersRef: { group: "", kind: "ConfigMap", name: "x" } } };
    const result = compiled([...base, withParameters, gateway("web", [httpListener], { more: infrastructure })]);
    expect(conditionsIn(result.status("GatewayClass", "p"))).toEqual(["Accepted=False/InvalidParameters"]);
    expect(conditionsIn(result.status("GatewayClass", "perch"))).toEqual([accepted]);
    expect(conditionsIn(result.status("Gateway", "web"))).toEqual([
      "Accepted=False/InvalidParameters",
      "Programmed=False/Invalid",
    ]);
  });

  test("addresses are published, and others are not usable", () => {
    const addresses = ["203.0.113.7", "lb.example.com"];
    const wanting = (value: string) => gateway("web", [httpListener], { more: { addresses: [{ value }] } });
    const known = compiled([...base, wanting("203.0.113.7")], { addresses }).status("Gateway", "web");
    expect(known["addresses"]).toEqual([
      { type: "IPAddress", value: "203.0.113.7" },
      { type: "Hostname", value: "lb.example.com" },
    ]);
    expect(conditionsIn(known)).toContain("Programmed=True/Programmed");
    const other = compiled([...base, wanting("203.0.113.8")], { addresses }).status("Gateway", "web");
    expect(conditionsIn(other)).toContain("Programmed=False/AddressNotUsable");
  });
});
