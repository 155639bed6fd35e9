import { describe, expect, test } from "vitest";
import { gatewayPartsFile } from "../../../../src/config/gateway-parts.ts";
import { loadConfigText } from "../../../../src/config/load.ts";
import { testCertificate, testKey } from "../../../kit/certificate.ts";
import {
  backendTlsPolicy,
  conditionsIn,
  gateway,
  gatewayClass,
  httpListener,
  namespace,
  route,
  service,
  to,
} from "../../../kit/gateway-api.ts";
import type { DraftObject } from "../../../kit/kubernetes-objects.ts";
import { certFile, certificateYaml, certPem, keyPem, type TestCertificate } from "../../../kit/pki.ts";
import { compiled, listenerStatus, routeConditions } from "./compiled.ts";

interface Ancestor {
  readonly ancestorRef: { readonly namespace: string; readonly name: string };
}

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

describe("a listener of the file with TLS of its own", () => {
  const certificates = `certificates: [${certificateYaml("renewed")}]`;
  const validation = { frontendValidation: { caCertificateRefs: [{ kind: "ConfigMap", name: "ca" }] } };
  const objects = (ca: TestCertificate) => [
    ...[...base, ...secrets, authority("ca", certPem(ca))],
    gateway("web", [https("a", "one", undefined, validation)]),
  ];
  const served = [
    "Accepted=True/Accepted",
    "Conflicted=False/NoConflicts",
    "Programmed=True/Programmed",
    "ResolvedRefs=True/ResolvedRefs",
  ];
  const refused = [
    "Accepted=True/Accepted",
    "Conflicted=False/NoConflicts",
    "Programmed=False/Invalid",
    "ResolvedRefs=False/InvalidCACertificateRef",
  ];

  test.each([
    ["has other CAs: the file's stay", `clientCa: ${certFile("authority")}`, "other-authority", "authority", refused],
    ["has the same CAs", `clientCa: ${certFile("authority")}`, "authority", "authority", served],
    ["asks for no certificate: it stays so", "", "authority", undefined, refused],
  ] as const)("%s", (_sentence, more, asked, wanted, conditions) => {
    const tls = `{ ${[certificates, more].filter((part) => part !== "").join(", ")} }`;
    const result = compiled(objects(asked), { tls });
    const { clientCa } = result.loaded.compiled.listeners[1]?.tls ?? {};
    expect(clientCa && Buffer.from(clientCa).toString("latin1")).toBe(wanted && certPem(wanted));
    expect(listenerStatus(result, "web", "a").conditions).toEqual(conditions);
  });

  test("keeps its CAs whatever the parts say", () => {
    const parts = {
      ...{ services: {}, releases: {}, bases: {}, routes: [] },
      listeners: { https: { tls: { certificates: [], clientCa: certFile("other-authority") } } },
    };
    const text = `listeners: [{ name: https, address: "127.0.0.1:8443", tls: { ${certificates}, clientCa: ${certFile("authority")} } }]
kubernetes: { gateway: {} }
routes: []
`;
    const apiFiles = new Map([[gatewayPartsFile, new TextEncoder().encode(JSON.stringify(parts))]]);
    const loaded = loadConfigText(text, {
      file: "perch.yaml",
      env: {},
      randomSecret: () => new Uint8Array(32),
      apiFiles,
    });
    if (!loaded.ok) throw new Error(loaded.problems[0]?.message);
    const { clientCa = "" } = loaded.compiled.listeners[0]?.tls ?? {};
    expect(Buffer.from(clientCa).toString("latin1")).toBe(certPem("authority"));
  });
});

describe("TLS to backends, by a BackendTLSPolicy", () => {
  const policy = backendTlsPolicy;
  const objects = [...base, gateway("web"), route("r", [{ backendRefs: [to("shop", 80)] }])];
  const caCertificateRefs = [{ group: "", kind: "ConfigMap", name: "ca" }];
  const fine = ["Accepted=True/Accepted", "ResolvedRefs=True/ResolvedRefs"];
  const ofSecond = { parents: [{ name: "second" }], hostnames: ["second.test"] };
  /** Each Gateway in the status of a policy, with the conditions for it. */
  const ancestorsOf = (result: Pick<ReturnType<typeof compiled>, "status">, name: string) => {
    const ancestors = (result.status("BackendTLSPolicy", name)["ancestors"] ?? []) as readonly Ancestor[];
    return ancestors.map((one) => [`${one.ancestorRef.namespace}/${one.ancestorRef.name}`, ...conditionsIn(one)]);
  };

  test("with the CAs of a ConfigMap", () => {
    const tls = policy({ hostname: "shop.internal", caCertificateRefs });
    const { loaded } = compiled([...objects, tls, authority("ca", certPem("authority"))]);
    const [made] = loaded.compiled.services;
    expect(made?.tls).toMatchObject({ serverName: "shop.internal" });
    expect(JSON.stringify(made?.versions)).toContain("https://127.0.0.1:80");
  });

  const invalid = ["Accepted=False/Invalid", "ResolvedRefs=True/ResolvedRefs"];
  const unresolved = (reason: string) => ["Accepted=False/NoValidCACertificate", `ResolvedRefs=False/${reason}`];
  test.each([
    ["CAs that do not exist", { hostname: "shop.internal", caCertificateRefs }, unresolved("InvalidCACertificateRef")],
    [
      "CAs that are none",
      { hostname: "shop.internal", caCertificateRefs: [{ group: "", kind: "ConfigMap", name: "malformed" }] },
      unresolved("InvalidCACertificateRef"),
    ],
    [
      "CAs in another kind of object",
      { hostname: "shop.internal", caCertificateRefs: [{ group: "", kind: "Secret", name: "ca" }] },
      unresolved("InvalidKind"),
    ],
    ["no CAs", { hostname: "shop.internal" }, invalid],
    ["no valid hostname", { hostname: "*.internal", wellKnownCACertificates: "System" }, invalid],
    [
      "subjects that Perch does not verify",
      { hostname: "shop.internal", wellKnownCACertificates: "System", subjectAltNames: [{ type: "URI" }] },
      invalid,
    ],
  ])("with %s: no request goes to the backend", (_sentence, validation, conditions) => {
    const result = compiled([...objects, policy(validation), authority("malformed", "not a certificate")]);
    expect(result.parts.routes).toMatchObject([{ fault: { abort: { status: 500 } } }]);
    expect(routeConditions(result, "r")).toContain("ResolvedRefs=False/BackendNotFound");
    expect(ancestorsOf(result, "policy")).toEqual([["shop/web", ...conditions]]);
  });

  test("of two for one Service the older counts", () => {
    const old = policy({ hostname: "old.internal", wellKnownCACertificates: "System" }, "z-old");
    const young = policy(
      { hostname: "young.internal", wellKnownCACertificates: "System" },
      "a",
      "2026-02-01T00:00:00Z",
    );
    const result = compiled([...objects, young, old]);
    expect(result.loaded.compiled.services[0]?.tls).toMatchObject({ serverName: "old.internal" });
    expect(ancestorsOf(result, "z-old")).toEqual([["shop/web", ...fine]]);
    expect(ancestorsOf(result, "a")).toEqual([
      ["shop/web", "Accepted=False/Conflicted", "ResolvedRefs=True/ResolvedRefs"],
    ]);
  });

  test("one for a port comes before the one for the whole Service, and both are accepted", () => {
    const whole = policy({ hostname: "whole.internal", wellKnownCACertificates: "System" }, "whole");
    const ofPort = policy(
      { hostname: "port.internal", wellKnownCACertificates: "System" },
      "port",
      "2026-02-01T00:00:00Z",
    );
    const target = { group: "", kind: "Service", name: "shop", sectionName: "http" };
    const { loaded, ...result } = compiled([
      ...objects,
      whole,
      { ...ofPort, spec: { ...(ofPort["spec"] as object), targetRefs: [target] } },
    ]);
    expect(loaded.compiled.services[0]?.tls).toMatchObject({ serverName: "port.internal" });
    for (const name of ["whole", "port"]) expect(ancestorsOf(result, name)).toEqual([["shop/web", ...fine]]);
  });

  const system = { hostname: "shop.internal", wellKnownCACertificates: "System" };
  const withTargets = (...targetRefs: readonly object[]): DraftObject => {
    const whole = policy(system);
    return { ...whole, spec: { ...(whole["spec"] as object), targetRefs } };
  };
  const shopTarget = { group: "", kind: "Service", name: "shop" };

  test.each([
    ["a port that no route leads to", { ...shopTarget, sectionName: "metrics" }],
    ["a kind of another group", { ...shopTarget, group: "example.com" }],
  ])("one for %s is not in use", (_sentence, target) => {
    const result = compiled([...objects, withTargets(target)]);
    expect(result.loaded.compiled.services[0]?.tls).toBeUndefined();
    expect(result.wanted("BackendTLSPolicy", "policy")).toEqual([]);
    const besides = compiled([...objects, withTargets(target, { ...shopTarget, sectionName: "http" })]);
    expect(ancestorsOf(besides, "policy")).toEqual([["shop/web", ...fine]]);
  });

  test("a target that no route leads to does not make one accepted beside an older one", () => {
    const young = { ...withTargets(shopTarget, { ...shopTarget, name: "unused" }) };
    const metadata = { ...young.metadata, name: "young", creationTimestamp: "2026-02-01T00:00:00Z" };
    const result = compiled([...objects, policy(system, "old"), { ...young, metadata }]);
    expect(ancestorsOf(result, "young")).toEqual([
      ["shop/web", "Accepted=False/Conflicted", "ResolvedRefs=True/ResolvedRefs"],
    ]);
  });

  test("its status names each Gateway of ours whose routes it is for, keeps what others wrote, and is empty without", () => {
    const tls = policy({ hostname: "shop.internal", wellKnownCACertificates: "System" });
    const second = [
      gateway("second", [{ ...httpListener, hostname: "second.test" }]),
      route("s", [{ backendRefs: [to("shop", 80)] }], ofSecond),
    ];
    const result = compiled([...objects, ...second, tls]);
    expect(ancestorsOf(result, "policy")).toEqual([
      ["shop/web", ...fine],
      ["shop/second", ...fine],
    ]);
    const theirs = { ancestorRef: { name: "theirs" }, controllerName: "example.com/gateway", conditions: [] };
    const many = Array.from({ length: 15 }, () => theirs);
    const [wanted] = result.wanted("BackendTLSPolicy", "policy");
    // The CRD takes no more than 16.
    const ours = { controllerName: "perch.dev/gateway", ancestorRef: { name: "web" } };
    expect(wanted?.merge({ ancestors: many }, 0)).toMatchObject({ ancestors: [...many, ours] });
    const unused = compiled([...base, gateway("web"), tls]);
    expect(unused.wanted("BackendTLSPolicy", "policy")).toEqual([]);
  });
});
