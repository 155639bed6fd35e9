import { describe, expect, test } from "vitest";
import { Cluster } from "../../../../src/config/import/live-gateway/cluster.ts";
import { neededObjects } from "../../../../src/config/import/live-gateway/needed-objects.ts";
import { gateway, gatewayClass, grant, namespace, route, service, to } from "../../../kit/gateway-api.ts";
import type { DraftObject } from "../../../kit/kubernetes-objects.ts";

const base = [gatewayClass(), namespace("shop"), service("shop", 80)];
const listener = (refs: readonly object[]) => ({
  name: "https",
  port: 443,
  protocol: "HTTPS",
  tls: { certificateRefs: refs },
});

function needed(objects: readonly DraftObject[]): readonly string[] {
  const found = neededObjects(new Cluster([...base, ...objects], new Map()), { controllerName: "perch.dev/gateway" });
  return found.map(({ kind, namespace: place, name }) => `${kind} ${place}/${name}`);
}

test("only Secrets that a Gateway of ours names and may are asked for", () => {
  const elsewhere = (name: string) => ({ name, namespace: "other" });
  const objects = [
    gatewayClass("theirs", "example.com/gateway"),
    gateway("web", [
      listener([{ name: "own" }, elsewhere("granted"), elsewhere("other"), { kind: "ConfigMap", name: "no" }]),
    ]),
    gateway("theirs", [listener([{ name: "private" }])], { className: "theirs" }),
    grant("other", { kind: "Gateway", namespace: "shop" }, { kind: "Secret", name: "granted" }),
  ];
  expect(needed(objects)).toEqual(["Secret shop/own", "Secret other/granted"]);
});

test("namespaces take turns, and the Gateways of each, so that no one uses up what Perch follows", () => {
  const refs = (...names: readonly string[]) => [listener(names.map((name) => ({ name })))];
  const objects = [
    gateway("greedy", refs("a", "b", "b", "c"), { namespace: "evil", created: "2025-01-01T00:00:00Z" }),
    gateway("modest", refs("m"), { namespace: "evil", created: "2025-02-01T00:00:00Z" }),
    gateway("web", refs("x", "y"), { created: "2025-03-01T00:00:00Z" }),
  ];
  expect(needed(objects)).toEqual([
    ...["Secret evil/a", "Secret shop/x", "Secret evil/m", "Secret shop/y"],
    ...["Secret evil/b", "Secret evil/c"],
  ]);
});

describe("of a BackendTLSPolicy the CAs", () => {
  const policy = (more: object = {}, target = "shop"): DraftObject => ({
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "BackendTLSPolicy",
    metadata: { name: "policy", namespace: "shop" },
    spec: {
      targetRefs: [{ group: "", kind: "Service", name: target }],
      validation: {
        hostname: "shop.internal",
        caCertificateRefs: [{ group: "", kind: "ConfigMap", name: "ca" }],
        ...more,
      },
    },
  });
  const mirror = { type: "RequestMirror", requestMirror: { backendRef: to("shop", 80) } };
  const ca = ["ConfigMap shop/ca"];
  test.each([
    ["are read where a route leads to its Service", [policy(), route("r", [{ backendRefs: [to("shop", 80)] }])], ca],
    [
      "are read where a route mirrors to its Service",
      [policy(), route("r", [{ backendRefs: [to("other", 80)], filters: [mirror] }])],
      ca,
    ],
    ["are not read for a Service without a route", [policy(), route("r", [{ backendRefs: [to("other", 80)] }])], []],
    [
      "are not read for a route of other Gateways",
      [policy(), route("r", [{ backendRefs: [to("shop", 80)] }], { parents: [{ name: "theirs" }] })],
      [],
    ],
    [
      "are not read where Perch rejects it for its subjects",
      [policy({ subjectAltNames: [{ type: "URI" }] }), route("r", [{ backendRefs: [to("shop", 80)] }])],
      [],
    ],
    [
      "are not read where Perch rejects it for its ConfigMaps",
      [
        policy({
          caCertificateRefs: [
            { kind: "ConfigMap", name: "a" },
            { kind: "ConfigMap", name: "b" },
          ],
        }),
        route("r", [{ backendRefs: [to("shop", 80)] }]),
      ],
      [],
    ],
  ])("%s", (_sentence, objects, wanted) => {
    expect(needed([gateway("web"), ...objects])).toEqual(wanted);
  });
});
