import { expect, test } from "vitest";
import { backendTlsPolicy, gateway, gatewayClass, namespace, route, service, to } from "../../../kit/gateway-api.ts";
import type { DraftObject } from "../../../kit/kubernetes-objects.ts";
import { compiled } from "./compiled.ts";

const base = [gatewayClass(), namespace("shop"), gateway("web"), route("r", [{ backendRefs: [to("shop", 80)] }])];
const endpointsOf = (shop: DraftObject, endpoints: "service" | "pods", more: readonly DraftObject[] = []) => {
  const { services } = compiled([...base, shop, ...more], { endpoints }).parts;
  return (services["shop-shop"] as { versions: { shop: { endpoints: unknown } } }).versions.shop.endpoints;
};

const named = service("shop", 80, { clusterIP: "10.0.0.7" });
const unnamed = service("shop", 80, { clusterIP: "10.0.0.7", more: { ports: [{ port: 80, targetPort: 8080 }] } });
const headless = service("shop", 80, { clusterIP: "None", more: { ports: [{ port: 80, targetPort: 8080 }] } });

test("a backend is its Service's cluster address, or the name of a headless one", () => {
  expect(endpointsOf(named, "service")).toEqual(["http://10.0.0.7:80"]);
  expect(endpointsOf(headless, "service")).toEqual([{ dns: "shop.shop", port: 8080 }]);
});

test("with Pods as endpoints it is the port of the Service by name, or its only port, whatever its address", () => {
  const byName = { kubernetes: { service: "shop", namespace: "shop", port: "http" } };
  const only = { kubernetes: { service: "shop", namespace: "shop" } };
  expect(endpointsOf(named, "pods")).toEqual([byName]);
  expect(endpointsOf(unnamed, "pods")).toEqual([only]);
  expect(endpointsOf(headless, "pods")).toEqual([only]);
});

test("with Pods as endpoints and a BackendTLSPolicy they are spoken to by TLS", () => {
  const policy = backendTlsPolicy();
  const kubernetes = { service: "shop", namespace: "shop", port: "http" };
  expect(endpointsOf(named, "pods", [policy])).toEqual([{ kubernetes, scheme: "https" }]);
});

test("a port of UDP is none, also where one of TCP has its number", () => {
  const quic = { name: "quic", port: 80, protocol: "UDP", targetPort: 8443 };
  const tcp = { name: "web", port: 80, protocol: "TCP", appProtocol: "kubernetes.io/h2c", targetPort: 8080 };
  const withPorts = (clusterIP: string, ...ports: readonly object[]) =>
    service("shop", 80, { clusterIP, more: { ports } });
  const both = withPorts("10.0.0.7", quic, tcp);
  expect(endpointsOf(both, "pods")).toEqual([{ kubernetes: { service: "shop", namespace: "shop", port: "web" } }]);
  expect(endpointsOf(withPorts("None", quic, tcp), "service")).toEqual([{ dns: "shop.shop", port: 8080 }]);
  expect(compiled([...base, both]).parts.services["shop-shop"]).toMatchObject({ protocol: "http2" });
  expect(compiled([...base, withPorts("10.0.0.7", quic)]).parts.routes).toMatchObject([
    { fault: { abort: { status: 500 } } },
  ]);
});

test("with Pods as endpoints of more than 1,000 Services, those of younger routes have their cluster address", () => {
  const names = Array.from({ length: 1_000 }, (_, at) => `s${at}`);
  const services = [...names, "more", "most"].map((name) => service(name, 80, { clusterIP: "10.0.0.7" }));
  const rules = (some: readonly string[]) => some.map((name) => ({ backendRefs: [to(name, 80)] }));
  const { parts, notes } = compiled(
    [
      ...[gatewayClass(), namespace("shop"), gateway("web"), ...services],
      route("a-young", rules(["more", "most", "s7"]), { created: "2026-03-01T00:00:00Z" }),
      route("old", rules(names), { created: "2026-02-01T00:00:00Z" }),
    ],
    { endpoints: "pods" },
  );
  const found = Object.values(parts.services).flatMap((one) =>
    Object.values((one as { versions: Record<string, { endpoints: readonly unknown[] }> }).versions).flatMap(
      ({ endpoints }) => endpoints,
    ),
  );
  expect(found.filter((endpoint) => typeof endpoint === "object")).toHaveLength(1_000);
  expect(found.filter((endpoint) => typeof endpoint === "string")).toEqual([
    "http://10.0.0.7:80",
    "http://10.0.0.7:80",
  ]);
  expect(notes).toEqual([
    "kubernetes.gateway.endpoints: routes lead to more than 1000 Services: those of the youngest have their Services' cluster addresses, not their Pods",
  ]);
});
