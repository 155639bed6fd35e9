import { describe, expect, it } from "vitest";
import { planReleases } from "../../src/plan/release-plan.ts";
import { planReload } from "../../src/plan/reload-plan.ts";
import { certPem } from "../kit/pki.ts";
import { load, shopYaml } from "./configs.ts";

const yaml = (service: string, more = "") =>
  shopYaml("split: { stable: 1 }").replace("default: stable,", `default: stable, ${service}`) + more;

/** The changes of a reload between two texts of the service. */
const changesBetween = (old: string, next: string) => planReload(load(yaml(old)), load(yaml(next))).changes;

describe("a plan reports of a service", () => {
  it.each<[old: string, next: string, detail: string]>([
    ["", "balance: hash,", "balance p2c → hash"],
    ["", "protocol: http2,", "protocol http1 → http2"],
    ["", "external: true,", "external false → true"],
    ["", "retries: { attempts: 1 },", "retries off → on"],
    ["retries: { attempts: 1 },", "retries: { attempts: 2, budget: 50% },", "retries.attempts, retries.budget"],
    ["limits: { maxInFlight: 9 },", "limits: { maxInFlight: 8 },", "limits.maxInFlight"],
    ["limits: { maxInFlight: 9 },", "limits: { maxConnections: 9 },", "limits.maxConnections, limits.maxInFlight"],
    ["health: { path: /a },", "health: { path: /b, interval: 9s },", "health.path, health.interval"],
    ["health: { path: /a },", "", "health on → off"],
    ["outlier: {},", "outlier: { ejectFor: 9s },", "outlier.ejectFor"],
    ["", "tls: { serverName: a.example },", "tls off → on"],
    ["tls: { serverName: a.example },", "tls: { serverName: b.example },", "tls.serverName"],
    ["timeouts: { connect: 1s },", "timeouts: { connect: 1000ms },", ""],
  ])("%j → %j: %s", (old, next, detail) => {
    const change = { kind: "changed", what: "service", name: "shop", detail };
    expect(changesBetween(old, next)).toEqual(detail === "" ? [] : [change]);
  });
});

it("a plan reports a CA file with other contents, and nothing for one that only moved", () => {
  const secure = (ca: string, file: string) => {
    const text = yaml(`tls: { ca: ${file} },`).replaceAll("http://", "https://");
    return load(text, { [file]: ca });
  };
  const [one, other] = [certPem("authority"), certPem("other-authority")];
  const detail = (next: ReturnType<typeof load>) => planReload(secure(one, "ca"), next).changes.map((it) => it.detail);
  expect(detail(secure(other, "ca"))).toEqual(["contents of the tls files"]);
  expect(detail(secure(one, "moved"))).toEqual([]);
});

it("a plan reports the version whose header edits change", () => {
  const edited = yaml("").replace("canary: {", "canary: { requestHeaders: { set: { x-a: b } },");
  expect(planReload(load(yaml("")), load(edited)).changes).toEqual([
    { kind: "changed", what: "version", name: "shop/canary", detail: "requestHeaders" },
  ]);
});

it("a plan reports changes of tracing, of the fast lane, and of a route's mirroring, paths and caching", () => {
  const next = yaml("", "tracing: { sample: 0.5, otlp: { endpoint: http://c:4318/v1/traces } }\nfastLane: off\n");
  const changes = planReload(
    load(yaml("")),
    load(next.replace("release: shop }", "release: shop, mirror: off, sharedCache: keep, pathNormalisation: off }")),
  ).changes;
  expect(changes.map(({ name, detail }) => `${name}: ${detail}`)).toEqual([
    "fastLane: on → off",
    "tracing: off → sample 0.5, trustIncoming anyone, serviceName perch, otlp http://c:4318/v1/traces",
    "shop: mirror on → off, sharedCache private → keep, pathNormalisation unset → off",
  ]);
});

describe("a plan reports of a release's mirror", () => {
  const withMirror = (body: string) =>
    load(shopYaml(`split: { stable: 1 }${body === "" ? "" : `, mirror: { ${body} }`}`));

  it.each<[old: string, next: string, notes: readonly string[]]>([
    ["", "version: v3, percent: 5", ["requests are now mirrored to v3 (5 % of units, GET, HEAD, OPTIONS)"]],
    ["version: v3, percent: 5", "", ["requests are no longer mirrored to v3"]],
    [
      "version: v3, percent: 5",
      "version: canary, percent: 10, methods: [GET]",
      ["the mirror changes from v3 (5 % of units, GET, HEAD, OPTIONS) to canary (10 % of units, GET)"],
    ],
    [
      "version: v3, percent: 5",
      "version: v3, percent: 5, maxBody: 2MiB, maxInFlight: 9",
      [
        "the mirror's maximum body changes from 1048576 to 2097152 bytes",
        "the maximum of mirrored requests in flight per worker changes from 100 to 9",
      ],
    ],
    ["version: v3, percent: 5", "version: v3, percent: 5", []],
  ])("%j → %j", (old, next, notes) => {
    const [plan] = planReleases(withMirror(old).compiled, withMirror(next).compiled, 10);
    expect(plan?.notes).toEqual(notes);
  });
});
