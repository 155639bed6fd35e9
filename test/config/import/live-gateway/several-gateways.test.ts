import { describe, expect, test } from "vitest";
import {
  conditionsIn,
  gateway,
  gatewayClass,
  httpListener,
  namespace,
  type RouteParts,
  type RouteStatus,
  route,
  service,
  to,
} from "../../../kit/gateway-api.ts";
import type { DraftObject } from "../../../kit/kubernetes-objects.ts";
import { certPem, keyPem, type TestCertificate } from "../../../kit/pki.ts";
import { compiled, listenerStatus, routeConditions } from "./compiled.ts";

const base = [gatewayClass(), namespace("shop"), namespace("evil"), service("shop", 80)];
const old = { created: "2026-01-01T00:00:00Z" };
const young = { created: "2026-02-01T00:00:00Z", namespace: "evil" };
const wild = { ...httpListener, hostname: "*.example.com" };
const exact = { ...httpListener, hostname: "shop.example.com" };
const toShop = [{ backendRefs: [to("shop", 80)] }];
const ofOld = (hostnames?: readonly string[], rules: readonly object[] = toShop) =>
  route("shop", rules, hostnames === undefined ? {} : { hostnames });
const ofYoung = (parts: RouteParts = {}) =>
  route("taking", [{ backendRefs: [to("taking", 80)] }], { namespace: "evil", parents: [{ name: "young" }], ...parts });
const taking = [gateway("young", [exact], young), service("taking", 80, { namespace: "evil" })];
const served = (result: ReturnType<typeof compiled>) =>
  (result.parts.routes as readonly { match?: { hosts?: readonly string[] }; service?: string }[]).map(
    ({ match, service: of = "" }) => `${match?.hosts?.join() ?? "*"} ${of}`,
  );
const both = ["Accepted=True/Accepted", "ResolvedRefs=True/ResolvedRefs"];
const messageOf = (result: ReturnType<typeof compiled>) =>
  (result.status("HTTPRoute", "taking") as unknown as RouteStatus).parents[0]?.conditions?.map(
    ({ message }) => message,
  );

describe("requests to a listener of an older Gateway", () => {
  test("do not get lost to a younger Gateway's more specific listener without routes", () => {
    const result = compiled([...base, gateway("web", [wild], old), ...taking, ofOld(["shop.example.com"])]);
    expect(served(result)).toEqual(["shop.example.com shop-shop"]);
  });

  test("stay with the routes of the older one; the younger one's status says whose they are", () => {
    const result = compiled([...base, gateway("web", [wild], old), ...taking, ofOld(["shop.example.com"]), ofYoung()]);
    expect(served(result)).toEqual(["shop.example.com shop-shop"]);
    expect(routeConditions(result, "shop")).toEqual(both);
    expect(routeConditions(result, "taking")).toEqual(["Accepted=False/HostnameConflict", both[1]]);
    expect(messageOf(result)?.[0]).toBe("requests for shop.example.com are those of Gateway shop/web, which is older");
    expect(listenerStatus(result, "young", "http").attached).toBe(0);
  });

  test("are those of a route with parents in both, which is accepted by both", () => {
    const result = compiled([
      ...[...base, gateway("web", undefined, old), gateway("second", [wild], { created: "2026-02-01T00:00:00Z" })],
      route("shop", toShop, { hostnames: ["shop.example.com"], parents: [{ name: "web" }, { name: "second" }] }),
    ]);
    expect(served(result)).toEqual(["shop.example.com shop-shop"]);
    const { parents } = result.status("HTTPRoute", "shop") as unknown as RouteStatus;
    expect(parents.map(conditionsIn)).toEqual([both, both]);
    for (const name of ["web", "second"]) expect(listenerStatus(result, name, "http").attached).toBe(1);
  });

  test("of a route without hostnames too", () => {
    const result = compiled([...base, gateway("web", undefined, old), ...taking, ofOld(), ofYoung()]);
    expect(served(result)).toEqual(["* shop-shop"]);
    expect(routeConditions(result, "taking")).toEqual(["Accepted=False/HostnameConflict", both[1]]);
  });

  test("where the older Gateway keeps a host for a listener without routes too", () => {
    const listeners = [httpListener, { ...wild, name: "wild" }];
    const result = compiled([
      ...[...base, gateway("web", listeners, old), ...taking],
      route("shop", toShop, { parents: [{ name: "web", sectionName: "http" }] }),
      ofYoung(),
    ]);
    expect(served(result)).toEqual(["*.example.com no-backend", "* shop-shop"]);
    expect(routeConditions(result, "taking")).toEqual(["Accepted=False/HostnameConflict", both[1]]);
  });

  test("by path: the rest of the host is the younger one's", () => {
    const path = [{ matches: [{ path: { value: "/api" } }], backendRefs: [to("shop", 80)] }];
    const result = compiled([
      ...[...base, gateway("web", [wild], old), ...taking],
      ofOld(["*.example.com"], path),
      ofYoung(),
    ]);
    expect(served(result)).toEqual(["*.example.com shop-shop", "shop.example.com evil-taking"]);
    expect(routeConditions(result, "taking")).toEqual(both);
  });

  test("a younger route that has some hosts left is served for them", () => {
    const result = compiled([
      ...[...base, gateway("web", [wild], old), gateway("young", undefined, young)],
      service("taking", 80, { namespace: "evil" }),
      ofOld(["shop.example.com"]),
      ofYoung({ hostnames: ["shop.example.com", "other.example.com"] }),
    ]);
    expect(served(result)).toEqual(["shop.example.com shop-shop", "other.example.com evil-taking"]);
    expect(routeConditions(result, "taking")).toEqual([both[0], "PartiallyInvalid=True/UnsupportedValue", both[1]]);
    expect(messageOf(result)?.[2]).toBe(
      "Dropped Rule: requests for shop.example.com are those of Gateway shop/web, which is older",
    );
    expect(listenerStatus(result, "young", "http").attached).toBe(1);
  });

  test("a Gateway for all hosts beside one for a host of its own: both serve their routes", () => {
    const result = compiled([
      ...[...base, gateway("web", undefined, old), ...taking],
      ...[ofOld(["www.example.com"]), ofYoung()],
    ]);
    expect(served(result)).toEqual(["www.example.com shop-shop", "shop.example.com evil-taking"]);
    expect(routeConditions(result, "taking")).toEqual(both);
    expect(listenerStatus(result, "young", "http").conditions).toContain("Conflicted=False/NoConflicts");
  });
});

describe("certificates of an older Gateway", () => {
  const secret = (name: TestCertificate, inNamespace: string): DraftObject => ({
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name, namespace: inNamespace },
    data: {
      "tls.crt": Buffer.from(certPem(name)).toString("base64"),
      "tls.key": Buffer.from(keyPem(name)).toString("base64"),
    },
  });
  const https = (name: TestCertificate, hostname?: string) => ({
    ...{ name: "https", port: 443, protocol: "HTTPS" },
    ...(hostname === undefined ? {} : { hostname }),
    tls: { certificateRefs: [{ name }] },
  });
  const presented = (older: object, younger: object, tls?: string) => {
    const secrets = [secret("wildcard", "shop"), secret("renewed", "shop"), secret("shop", "evil")];
    const gateways = [gateway("web", [older], old), gateway("young", [younger], young)];
    const { loaded } = compiled([...base, ...secrets, ...gateways], tls === undefined ? {} : { tls });
    const certificates = loaded.compiled.listeners[1]?.tls?.certificates ?? [];
    return certificates.map(({ hosts }) => hosts.join(" "));
  };

  // The certificate `wildcard` is for *.example.org and example.org, `shop` and `renewed` for shop.example and localhost.
  test.each([
    ["a host that it has", https("wildcard", "*.example.org"), "a.example.org", ["*.example.org"]],
    ["a host by the names in it", https("wildcard"), "a.example.org", ["*.example.org example.org"]],
    ["no host that it has", https("wildcard"), "a.b.example.org", ["*.example.org example.org", "a.b.example.org"]],
    [
      "a host that it is not valid for",
      https("renewed", "*.example.org"),
      "a.example.org",
      ["*.example.org", "a.example.org"],
    ],
  ])("stay in use for clients' server names: %s", (_sentence, older, younger, wanted) => {
    expect(presented(older, https("shop", younger))).toEqual(wanted);
  });
});
