import { describe, expect, test } from "vitest";
import { importManifests } from "../../../src/config/import/import-manifests.ts";

const object = (apiVersion: string, kind: string, spec = "{}") =>
  `---\napiVersion: ${apiVersion}\nkind: ${kind}\nmetadata: { name: shop, namespace: shop }\nspec: ${spec}\n`;

function alone(yaml: string) {
  const result = importManifests([{ file: "cluster.yaml", text: yaml }]);
  const notes = result.notes.map(({ where, what }) => `${where}: ${what}`);
  return { result, notes, leftOut: result.notes.filter((note) => note.leftOut).length };
}

describe("kinds with routes that are not read are named and counted, also when they come alone", () => {
  test.each([
    ["gateway.networking.k8s.io/v1alpha2", "TLSRoute", "Perch does not forward TLS as it is"],
    ["gateway.networking.k8s.io/v1alpha2", "TCPRoute", "Perch serves HTTP only"],
    ["gateway.networking.k8s.io/v1alpha2", "UDPRoute", "Perch serves HTTP only"],
    ["projectcontour.io/v1", "HTTPProxy", "Contour's routes are not read"],
    ["apisix.apache.org/v2", "ApisixRoute", "the routes of APISIX are not read"],
    ["argoproj.io/v1alpha1", "Rollout", "it has neither canary nor blueGreen"],
    ["serving.knative.dev/v1", "Service", "Knative's traffic by revision is not read"],
    ["appmesh.k8s.aws/v1beta2", "VirtualRouter", "App Mesh is not read"],
    ["linkerd.io/v1alpha2", "ServiceProfile", "Linkerd is not read"],
    ["policy.linkerd.io/v1beta3", "HTTPRoute", "Linkerd is not read"],
    ["example.com/v1", "Ingress", "its API group is example.com, and of Ingress only networking.k8s.io is read"],
    ["networking.k8s.io/v2", "Ingress", "its version networking.k8s.io/v2 is not read, only v1, v1beta1"],
  ])("%s %s", (apiVersion, kind, why) => {
    const { result, notes, leftOut } = alone(object(apiVersion, kind));
    expect(notes.join("\n")).toContain(`${kind} shop/shop: left out: ${why}`);
    expect([leftOut, result.ok]).toEqual([1, false]);
    expect(!result.ok && result.problem).toContain(`the input has ${kind} of ${apiVersion.split("/")[0]}`);
  });

  test("a VirtualService with routes of TLS and TCP", () => {
    const { notes, leftOut } = alone(
      object("networking.istio.io/v1", "VirtualService", "{ hosts: [a.example], tls: [{}], tcp: [{}] }"),
    );
    expect(notes).toEqual([
      "VirtualService shop/shop: tls is left out: Perch serves HTTP only",
      "VirtualService shop/shop: tcp is left out: Perch serves HTTP only",
    ]);
    expect(leftOut).toBe(2);
  });
});

test("Deployments and the like are counted in one note", () => {
  const { notes, leftOut } = alone(
    object("apps/v1", "Deployment") + object("apps/v1", "Deployment") + object("v1", "ServiceAccount"),
  );
  expect(notes).toEqual(["the input: 2 Deployment, 1 ServiceAccount: not read, as these have no routes"]);
  expect(leftOut).toBe(0);
});

test("policies of a mesh are lost protection; a NetworkPolicy stays in force", () => {
  const policies =
    object("security.istio.io/v1", "AuthorizationPolicy") + object("networking.k8s.io/v1", "NetworkPolicy");
  expect(alone(policies).result.notes.map(({ what, lostProtection }) => [what, lostProtection])).toEqual([
    ["not imported: Perch has no equivalent", true],
    ["stays in force: it has to let Perch's Pods reach the Services", false],
  ]);
});

test.each([
  ["networking.istio.io/v1alpha3", "EnvoyFilter"],
  ["extensions.istio.io/v1alpha1", "WasmPlugin"],
  ["configuration.konghq.com/v1", "KongPlugin"],
  ["configuration.konghq.com/v1", "KongClusterPlugin"],
  ["apisix.apache.org/v2", "ApisixPluginConfig"],
  ["apisix.apache.org/v2", "ApisixConsumer"],
  ["hub.traefik.io/v1alpha1", "APIAuth"],
  ["traefik.io/v1alpha1", "MiddlewareTCP"],
  ["example.com/v1", "OIDCProvider"],
  ["example.com/v1", "JWTRule"],
])("%s %s may have protected: it stands first, and its note says so", (apiVersion, kind) => {
  const [note] = alone(object(apiVersion, kind)).result.notes;
  expect([note?.where, note?.lostProtection]).toEqual([`${kind} shop/shop`, true]);
  expect(note?.what).toContain("; it may have protected what it applied to");
});

test("a kind that protects nothing is a plain difference", () => {
  const [note] = alone(object("example.com/v1", "Certificate")).result.notes;
  expect(note).toMatchObject({ what: "not imported: Perch has no equivalent", lostProtection: false });
});
