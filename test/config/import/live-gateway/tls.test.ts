import { describe, expect, test } from "vitest";
import { Cluster } from "../../../../src/config/import/live-gateway/cluster.ts";
import { neededObjects } from "../../../../src/config/import/live-gateway/compile-gateway.ts";
import { testCertificate, testKey } from "../../../kit/certificate.ts";
import { gateway, gatewayClass, grant, namespace, route, service, to } from "../../../kit/gateway-api.ts";
import type { DraftObject } from "../../../kit/kubernetes-objects.ts";
import { certPem, keyPem } from "../../../kit/pki.ts";
import { compiled, routeConditions } from "./compiled.ts";

const secret = (name: string, chain: string, key: string): DraftObject => ({
  apiVersion: "v1",
  kind: "Secret",
  metadata: { name, namespace: "shop" },
  data: {
    "tls.crt": Buffer.from(chain).toString("base64"),
    "tls.key": Buffer.from(key).toString("base64"),
  },
});
const authority = (name: string, pem: string): DraftObject => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name, namespace: "shop" },
  data: { "ca.crt": pem },
});
const https = (name: string, secretName: string, hostname?: string, tls: object = {}) => ({
  name,
  port: 443,
  protocol: "HTTPS",
  ...(hostname === undefined ? {} : { hostname }),
  tls: { certificateRefs: [{ name: secretName }], ...tls },
});
const base = [gatewayClass(), namespace("shop"), service("shop", 80)];
const secrets = [secret("one", testCertificate, testKey), secret("two", certPem("shop"), keyPem("shop"))];

describe("certificates of listeners", () => {
  test("are chosen by the listener's hostname, or by their own names", () => {
    const listeners = [https("a", "one", "a.test"), https("b", "one", "b.test"), https("any", "two")];
    const { parts, loaded } = compiled([...base, ...secrets, gateway("web", listeners)]);
    expect(parts.listeners["https"]?.tls?.certificates.map(({ hosts }) => hosts)).toEqual([
      ["a.test", "b.test"],
      undefined,
    ]);
    const [, listener] = loaded.compiled.listeners;
    expect(listener?.tls?.certificates.map(({ hosts }) => hosts[0])).toEqual(["a.test", "shop.example"]);
  });

  test("of clients are verified by the CAs of a ConfigMap", () => {
    const validation = { frontendValidation: { caCertificateRefs: [{ kind: "ConfigMap", name: "ca" }] } };
    const objects = [...base, ...secrets, authority("ca", certPem("authority"))];
    const { loaded } = compiled([...objects, gateway("web", [https("a", "one", undefined, validation)])]);
    expect(loaded.compiled.listeners[1]?.tls?.clientCa).toEqual(new Uint8Array(Buffer.from(certPem("authority"))));
  });

  test("of clients: what only some listeners of a port ask for is served by none of these", () => {
    const validation = { frontendValidation: { caCertificateRefs: [{ kind: "ConfigMap", name: "ca" }] } };
    const objects = [...base, ...secrets, authority("ca", certPem("authority"))];
    const listeners = [https("a", "one", "a.test", validation), https("b", "two", "b.test")];
    const result = compiled([...objects, gateway("web", listeners), route("r", [{ backendRefs: [to("shop", 80)] }])]);
    expect(result.parts.routes).toMatchObject([{ match: { listeners: ["https"], hosts: ["b.test"] } }]);
  });
});

describe("TLS to backends, by a BackendTLSPolicy", () => {
  const policy = (validation: object, name = "policy", created = "2026-01-01T00:00:00Z"): DraftObject => ({
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "BackendTLSPolicy",
    metadata: { name, namespace: "shop", creationTimestamp: created },
    spec: { targetRefs: [{ group: "", kind: "Service", name: "shop" }], validation },
  });
  const objects = [...base, gateway("web"), route("r", [{ backendRefs: [to("shop", 80)] }])];
  const caCertificateRefs = [{ group: "", kind: "ConfigMap", name: "ca" }];

  test("with the CAs of a ConfigMap", () => {
    const tls = policy({ hostname: "shop.internal", caCertificateRefs });
    const { loaded } = compiled([...objects, tls, authority("ca", certPem("authority"))]);
    const [made] = loaded.compiled.services;
    expect(made?.tls).toMatchObject({ serverName: "shop.internal" });
    expect(JSON.stringify(made?.versions)).toContain("https://127.0.0.1:80");
  });

  test.each([
    ["CAs that do not exist", { hostname: "shop.internal", caCertificateRefs }],
    ["no CAs", { hostname: "shop.internal" }],
    [
      "subjects that Perch does not verify",
      { hostname: "shop.internal", wellKnownCACertificates: "System", subjectAltNames: [{ type: "URI" }] },
    ],
  ])("with %s: no request goes to the backend", (_sentence, validation) => {
    const result = compiled([...objects, policy(validation)]);
    expect(result.parts.routes).toMatchObject([{ fault: { abort: { status: 500 } } }]);
    expect(routeConditions(result, "r")).toContain("ResolvedRefs=False/BackendNotFound");
  });

  test("of two for one Service the older counts", () => {
    const old = policy({ hostname: "old.internal", wellKnownCACertificates: "System" }, "z-old");
    const young = policy(
      { hostname: "young.internal", wellKnownCACertificates: "System" },
      "a",
      "2026-02-01T00:00:00Z",
    );
    const { loaded } = compiled([...objects, young, old]);
    expect(loaded.compiled.services[0]?.tls).toMatchObject({ serverName: "old.internal" });
  });
});

test("only Secrets that a Gateway of ours names and may are asked for", () => {
  const elsewhere = (name: string) => ({ name, namespace: "other" });
  const listener = (refs: readonly object[]) => ({
    name: "https",
    port: 443,
    protocol: "HTTPS",
    tls: { certificateRefs: refs },
  });
  const objects = [
    ...base,
    gatewayClass("theirs", "example.com/gateway"),
    gateway("web", [
      listener([{ name: "own" }, elsewhere("granted"), elsewhere("other"), { kind: "ConfigMap", name: "no" }]),
    ]),
    gateway("theirs", [listener([{ name: "private" }])], { className: "theirs" }),
    grant("other", { kind: "Gateway", namespace: "shop" }, { kind: "Secret", name: "granted" }),
  ];
  const needed = neededObjects(new Cluster(objects), { controllerName: "perch.dev/gateway" });
  expect(needed.map(({ kind, namespace: place, name }) => `${kind} ${place}/${name}`)).toEqual([
    "Secret shop/own",
    "Secret other/granted",
  ]);
});
