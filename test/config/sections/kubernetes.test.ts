import { describe, expect, test } from "vitest";
import { gatewayPartsFile } from "../../../src/config/gateway-parts.ts";
import { loadConfigText } from "../../../src/config/load.ts";
import { errorsOf } from "../../../src/config/schema-kit/diagnostics.ts";

function load(gateway: string, rest = "routes: []\n", parts?: object) {
  const text = `listeners:
  - { name: web, address: "*:8080" }
  - { name: https, address: "*:8443" }
  - { name: plain, address: "127.0.0.1:80" }
  - { name: local, address: "unix:/run/perch.sock" }
kubernetes: { gateway: ${gateway} }
${rest}`;
  const apiFiles = new Map(
    parts === undefined ? [] : [[gatewayPartsFile, new TextEncoder().encode(JSON.stringify(parts))]],
  );
  return loadConfigText(text, { file: "perch.yaml", env: {}, randomSecret: () => new Uint8Array(32), apiFiles });
}

function compiledBy(...given: Parameters<typeof load>) {
  const result = load(...given);
  if (!result.ok) throw new Error(result.problems.map(({ message }) => message).join("\n"));
  return result.compiled;
}

function problemsOf(...given: Parameters<typeof load>): readonly string[] {
  const result = load(...given);
  return result.ok ? [] : errorsOf(result.problems).map(({ line, message }) => `${line}: ${message}`);
}

const noParts = { listeners: {}, services: {}, releases: {}, bases: {}, routes: [] };

describe("kubernetes.gateway", () => {
  test("without settings serves the ports of the listeners, and those 8000 below", () => {
    const { gateway } = compiledBy("{}");
    expect(gateway).toMatchObject({ controllerName: "perch.dev/gateway", namespaces: [], addresses: [] });
    expect(gateway?.ports).toEqual([
      { port: 8080, listener: "web" },
      { port: 8443, listener: "https" },
      { port: 80, listener: "plain" },
      { port: 443, listener: "https" },
    ]);
  });

  test("with ports serves these alone", () => {
    expect(compiledBy("{ ports: { 80: local, 8080: web } }").gateway?.ports).toEqual([
      { port: 80, listener: "local" },
      { port: 8080, listener: "web" },
    ]);
  });

  test.each([
    ["{ ports: { 80: wbe } }", '6: unknown listener "wbe"'],
    ["{ ports: { web: web } }", '6: "web" is not a port: use a number from 1 to 65535'],
    [
      "{ controllerName: perch }",
      '6: "perch" is not a controller\'s name: use a domain and a path, as in perch.dev/gateway',
    ],
    ["{ namespaces: [Shop] }", '6: "Shop" is not a namespace: use a-z, 0-9 and dashes, at most 63 characters'],
    ["{ secretFile: /none }", "6: the file /none cannot be used: no such file"],
    ["{ class: perch }", '6: unknown key "class" in gateway'],
  ])("%s: %s", (gateway, wanted) => {
    expect(problemsOf(gateway)).toContain(wanted);
  });

  test("is what lets the list of routes be empty", () => {
    expect(load("{}").ok).toBe(true);
    const without = loadConfigText("routes: []\n", { file: "p.yaml", env: {}, randomSecret: () => new Uint8Array(32) });
    expect(without.ok ? [] : without.problems.map(({ message }) => message)).toEqual(["the list of routes is empty"]);
  });
});

describe("what the API adds", () => {
  const service = { versions: { only: { endpoints: ["http://10.0.0.1:80"] } } };
  const own = `
services: { mine: { versions: { only: { endpoints: ["http://127.0.0.1:1"] } } } }
routes: [{ name: mine, service: mine }]
`;

  test("comes after what the file has", () => {
    const routes = [{ name: "theirs", match: { listeners: ["web"] }, service: "theirs" }];
    const compiled = compiledBy("{}", own, { ...noParts, services: { theirs: service }, routes });
    expect(compiled.routes.map(({ name }) => name)).toEqual(["mine", "theirs"]);
    expect(compiled.services.map(({ name }) => name)).toEqual(["mine", "theirs"]);
  });

  test("is part of the hash, and of the files that it was loaded from", () => {
    const [before, after] = [noParts, { ...noParts, services: { theirs: service } }].map((parts) =>
      load("{}", own, parts),
    );
    if (before?.ok !== true || after?.ok !== true) throw new Error("they load");
    expect(after.hash).not.toBe(before.hash);
    expect([...after.sources.files.keys()]).toEqual([gatewayPartsFile]);
  });

  test("turns on what a listener of the file needs", () => {
    const compiled = compiledBy("{}", own, { ...noParts, listeners: { web: { h2c: true } } });
    expect(compiled.listeners.map(({ name, h2c }) => [name, h2c])).toContainEqual(["web", true]);
  });

  test("is warned of by nobody: its author does not read the log", () => {
    const releases = { theirs: { split: { only: 1 } } };
    const result = load("{}", own, { ...noParts, services: { theirs: service }, releases });
    expect(result.ok ? result.warnings.map(({ message }) => message) : []).toEqual([
      expect.stringContaining("the pins of routes of the Gateway API are signed with a random secret"),
    ]);
  });

  test("is nothing where the file does not ask for it, and problems of the file keep their places", () => {
    const bad = "routes: [{ name: mine, service: nobody }]\n";
    expect(problemsOf("{}", bad, { ...noParts, services: { theirs: service } })).toEqual([
      '7: unknown service "nobody"',
    ]);
  });
});

describe("a release for routes of the API alone", () => {
  const attributes = "attributes: { userId: { type: string, from: [{ header: x-user-id }] } }\n";
  const release = (settings: string) => `${attributes}releases: { testers: { ${settings} } }\nroutes: []\n`;

  test("may name any version, and uses its attributes", () => {
    const rollout = `rollout: { id: "1", candidate: v2, steps: [{ weight: 5, hold: 10m, when: { userId: [a] } }], checks: [{ name: errors, metric: errors }] }`;
    const rules = "rules: [{ name: r, when: { userId: [a] }, use: canary }]";
    for (const settings of ["sticky: { by: userId }", rules, rollout]) {
      const result = load("{}", release(settings));
      expect(result.ok ? result.warnings.map(({ message }) => message) : result.problems).toEqual([
        expect.stringContaining("the pins of routes of the Gateway API are signed with a random secret"),
      ]);
    }
  });

  test.each([
    ["sticky: { by: usrId }", '8: unknown attribute "usrId"'],
    ["rules: [{ name: r, when: { region: cn }, use: canary }]", '8: unknown attribute "region"'],
    ["sticky: { cookie: { secretFile: /none } }", "8: the file /none cannot be used: no such file"],
    ["override: { header: bad header }", '8: "bad header" is not a header name'],
    [
      `rollout: { id: "1", candidate: v2, steps: [{ weight: 5, hold: 1m, when: { region: cn } }], checks: [{ name: errors, metric: errors }] }`,
      '8: unknown attribute "region"',
    ],
  ])("is checked: %s", (settings, wanted) => {
    expect(problemsOf("{}", release(settings)).join("\n")).toContain(wanted);
  });
});
