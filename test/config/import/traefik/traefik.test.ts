import { describe, expect, test } from "vitest";
import { importManifests } from "../../../../src/config/import/import-manifests.ts";
import { imported } from "../asked.ts";
import { ingressRoute, object, rule, to } from "./traefik-manifests.ts";

describe("which route serves a request", () => {
  test.each(["traefik.io", "traefik.containo.us"])("the longer rule first, of the API group %s", (group) => {
    const { served } = imported(
      ingressRoute(
        [
          rule("Host(`shop.example.com`)", to("rest")),
          rule("Host(`shop.example.com`) && PathPrefix(`/api`)", to("api")),
        ],
        { group },
      ),
    );
    expect([served({ url: "/api" }), served({ url: "/apix" }), served({ url: "/" })]).toEqual([
      "api/stable",
      "api/stable",
      "rest/stable",
    ]);
  });

  test("a priority outranks the length", () => {
    const routes = [
      rule("PathPrefix(`/api/long`)", to("long")),
      rule("PathPrefix(`/a`)", `priority: 100, ${to("short")}`),
    ];
    expect(imported(ingressRoute(routes)).served({ url: "/api/long" })).toBe("short/stable");
  });

  test("a rule without an equivalent is left out and counted; the others stay", () => {
    const routes = [
      rule("PathPrefix(`/api`) && ClientIP(`10.0.0.0/8`)", to("inner")),
      rule("PathPrefix(`/`)", to("shop")),
    ];
    const result = importManifests([{ file: "x.yaml", text: ingressRoute(routes) }]);
    expect(result.ok && result.summary).toMatchObject({ routes: 1, leftOut: 1 });
    expect(result.notes.map(({ what }) => what).join("\n")).toContain("ClientIP(`10.0.0.0/8`): routes cannot test");
  });
});

test("routes of TCP and UDP are left out and named", () => {
  const result = importManifests([
    { file: "x", text: object("IngressRouteTCP", "db", "{}") + object("IngressRouteUDP", "dns", "{}") },
  ]);
  expect(result.notes.map(({ where, leftOut }) => [where, leftOut])).toEqual([
    ["IngressRouteTCP shop/db", true],
    ["IngressRouteUDP shop/dns", true],
  ]);
});
