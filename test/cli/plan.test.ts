import { describe, expect, it } from "vitest";
import { planReload } from "../../src/plan/reload-plan.ts";
import { certificateYaml } from "../kit/pki.ts";
import { load, shopYaml } from "../plan/configs.ts";
import { perch, temporaryFolder } from "./captured-terminal.ts";

const file = temporaryFolder();
const yaml = shopYaml("split: { stable: 90, canary: 10 }");
const ramped = shopYaml("split: { stable: 50, canary: 50 }");
const old = file("old.yaml", yaml);
const next = file(
  "next.yaml",
  ramped.replace("routes:", 'listeners: [{ name: web, address: "127.0.0.1:81" }]\nroutes:'),
);

describe("perch plan", () => {
  it("prints which users move, and what a reload and a restart do", async () => {
    const { code, out, err } = await perch(["plan", old, next]);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toBe(`${old} → ${next}, 100000 simulated units per release

release shop: changed, follow
  the split changes from { stable: 90, canary: 10 } to { stable: 50, canary: 50 }
  users whom no rule matches:
    canary  10.04 %  →  49.93 %
    stable  89.96 %  →  50.08 %
    moved: 39.89 % stable → canary

a reload changes nothing else
a restart is needed for
  ~ listeners: web *:8080 → web 127.0.0.1:81
`);
  });

  it("prints what users with a pin do, under hold", async () => {
    const held = file("held.yaml", ramped.replace("split:", "sticky: { whenWeightsChange: hold }, split:"));
    const { out } = await perch(["plan", held.replace("held", "old"), held, "--units", "1000"]);
    expect(out).toContain("1000 simulated units per release");
    expect(out).toMatch(/\n {4}by the draw alone: \d\d\.\d\d % stable → canary\n/);
    expect(out).toContain(
      "users with a pin, at their next request: none; they stay until the pin expires or its version has weight 0\n",
    );
  });

  it("reports that nothing changes", async () => {
    const { out } = await perch(["plan", old, old]);
    expect(out).toContain("release shop: unchanged, follow\n");
    expect(out).not.toContain("moved");
    expect(out).toContain("a reload changes nothing else\n");
  });

  it("prints one object with --json", async () => {
    const { code, out } = await perch(["plan", old, next, "--json", "--units", "1000"]);
    const moves = [{ from: "stable", to: "canary", share: expect.closeTo(0.4, 1) }];
    expect(code).toBe(0);
    expect(JSON.parse(out)).toEqual({
      old,
      new: next,
      units: 1000,
      releases: [
        {
          release: "shop",
          change: "changed",
          whenWeightsChange: "follow",
          cohorts: [
            {
              rule: null,
              services: [],
              before: { stable: expect.any(Number), canary: expect.any(Number) },
              after: { stable: expect.any(Number), canary: expect.any(Number) },
              byDraw: { moved: expect.any(Number), moves },
              pinned: { moved: expect.any(Number), moves },
            },
          ],
          notes: [expect.stringContaining("the split changes")],
        },
      ],
      reload: { changes: [], restartNeeded: ["listeners: web *:8080 → web 127.0.0.1:81"] },
    });
  });

  const bad = file("bad.yaml", "routes: []\n");
  it.each([
    { sentence: "one configuration", args: [old], message: "two configuration files are needed: OLD NEW" },
    { sentence: "three configurations", args: [old, old, old], message: "unexpected argument" },
    {
      sentence: "units that are not a number",
      args: [old, next, "--units", "1e9"],
      message: '--units "1e9" is not a number',
    },
    { sentence: "no units", args: [old, next, "--units", "0"], message: '--units "0" is not a number' },
    { sentence: "an invalid new configuration", args: [old, bad], message: "bad.yaml:1:" },
    { sentence: "an invalid old configuration", args: [bad, next], message: "bad.yaml:1:" },
  ])("exits with 2 for $sentence", async ({ args, message }) => {
    const { code, out, err } = await perch(["plan", ...args]);
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).toContain(message);
  });
});

describe("what a reload does", () => {
  it.each<{ sentence: string; edit: readonly (readonly [string, string])[]; changes: readonly unknown[] }>([
    { sentence: "nothing for a comment", edit: [["attributes:", "# hello\nattributes:"]], changes: [] },
    {
      sentence: "settings",
      edit: [
        ["attributes:", "exposeVersion: true\ntrustedProxies: [10.0.0.0/8]\naccessLog: { sample: 0.5 }\nattributes:"],
      ],
      changes: [
        { kind: "changed", what: "setting", name: "trustedProxies", detail: "none → 10.0.0.0/8" },
        { kind: "changed", what: "setting", name: "exposeVersion", detail: "false → true" },
        { kind: "changed", what: "setting", name: "accessLog.sample", detail: "1 → 0.5" },
      ],
    },
    {
      sentence: "the PROXY protocol, TLS and trusted unix sockets of a listener",
      edit: [
        [
          "attributes:",
          `listeners: [{ name: web, address: "*:8080", proxyProtocol: true, tls: { certificates: [${certificateYaml("shop")}] } }]\ntrustedProxies: [unix]\nattributes:`,
        ],
      ],
      changes: [
        { kind: "changed", what: "setting", name: "trustedProxies", detail: "none → unix" },
        { kind: "changed", what: "listener", name: "web", detail: "proxyProtocol off → on, tls off → on" },
      ],
    },
    {
      sentence: "endpoints that change",
      edit: [["127.0.0.1:8002", "127.0.0.1:9002"]],
      changes: [
        { kind: "added", what: "endpoint", name: "shop/canary http://127.0.0.1:9002", detail: "" },
        { kind: "removed", what: "endpoint", name: "shop/canary http://127.0.0.1:8002", detail: "" },
      ],
    },
    {
      sentence: "a removed version, with its endpoints",
      edit: [[', v3: { endpoints: ["http://127.0.0.1:8003"] }', ""]],
      changes: [
        { kind: "removed", what: "version", name: "shop/v3" },
        { kind: "removed", what: "endpoint", name: "shop/v3 http://127.0.0.1:8003" },
      ],
    },
    {
      sentence: "a service's default and timeouts",
      edit: [["default: stable,", "default: canary, timeouts: { connect: 1s },"]],
      changes: [
        { kind: "changed", what: "service", name: "shop", detail: "default stable → canary, timeouts.connect" },
      ],
    },
    {
      sentence: "an attribute's type and sources",
      edit: [
        ["region: { type: string, from: [{ header: x-region }] }", "region: { type: number, from: [{ query: r }] }"],
      ],
      changes: [{ kind: "changed", what: "attribute", name: "region", detail: "type string → number, sources" }],
    },
    {
      sentence: "a route's match, and its removal from a release",
      edit: [["service: shop, release: shop }", "service: shop, match: { path: { regex: a } } }"]],
      changes: [
        {
          kind: "changed",
          what: "route",
          name: "shop",
          detail: "match, release shop → none, users are drawn again",
        },
      ],
    },
    {
      sentence: "added routes",
      edit: [["routes: [", "routes: [{ name: blog, match: { hosts: [blog] }, service: shop }, "]],
      changes: [{ kind: "added", what: "route", name: "blog", detail: "" }],
    },
    {
      sentence: "an added release",
      edit: [["releases: {", "releases: { blog: {}, "]],
      changes: [{ kind: "added", what: "release", name: "blog" }],
    },
  ])("$sentence", ({ edit, changes }) => {
    const edited = edit.reduce((text, [from, to]) => text.replace(from, to), yaml);
    expect(edited).not.toBe(yaml);
    expect(planReload(load(yaml), load(edited))).toMatchObject({ changes, restartNeeded: [] });
  });

  it("a changed order of routes, which decides the match", () => {
    const routes = (names: readonly string[]): string =>
      `routes: [${names.map((name) => `{ name: ${name}, match: { path: { prefix: /${name} } }, service: shop, release: shop }`)}]`;
    const ordered = (names: readonly string[]) => load(yaml.replace(/routes:.*/, routes(names)));
    expect(planReload(ordered(["a", "b"]), ordered(["b", "a"])).changes).toEqual([
      { kind: "changed", what: "setting", name: "the order of routes", detail: "the first match wins" },
    ]);
    expect(planReload(ordered(["a", "b"]), ordered(["a", "c", "b"])).changes).toHaveLength(1);
  });

  it("needs a restart for listeners and the admin address", () => {
    const moved = yaml.replace("attributes:", 'admin: { address: "[::1]:9902" }\nattributes:');
    expect(planReload(load(yaml), load(moved))).toEqual({
      changes: [],
      restartNeeded: ["admin.address: 127.0.0.1:9901 → [::1]:9902"],
    });
  });
});
