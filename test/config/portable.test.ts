import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import type { CompiledConfig, RouteSpec } from "../../src/config/compiled-config.ts";
import { type LoadedConfig, type LoadResult, loadConfigFile } from "../../src/config/load.ts";
import { decodeConfig } from "../../src/config/portable/decode-config.ts";
import { encodeConfig, fingerprintsOf } from "../../src/config/portable/encode-config.ts";
import type { PortableConfig, SectionName } from "../../src/config/portable/portable-config.ts";
import { compileTest } from "../../src/decide/compile-condition.ts";
import type { Test } from "../../src/decide/condition.ts";
import { parseValue } from "../../src/decide/facts.ts";
import { mmdb } from "../kit/mmdb.ts";
import { finished } from "../kit/steps.ts";
import { changed, load, testFiles, testOptions, validConfig } from "./valid-config.ts";

const loadedOf = (result: LoadResult): LoadedConfig => {
  if (!result.ok) throw new Error(result.problems.map(({ message }) => message).join("\n"));
  return result;
};

/** What a thread that runs `running` makes of this configuration, which came through a message. */
function sent(loaded: LoadedConfig, running: LoadedConfig): { portable: PortableConfig; decoded: CompiledConfig } {
  const base = { hash: running.hash, fingerprints: finished(fingerprintsOf(running.compiled)) };
  const { portable } = structuredClone(encodeConfig(loaded.compiled, base));
  const parts = { running: running.compiled, runningHash: running.hash, database: loaded.sources.database };
  return { portable, decoded: finished(decodeConfig(portable, parts)) };
}

/** Has nothing in common with the others. */
const nothing = loadedOf(
  load('services: { a: { versions: { b: { endpoints: ["http://c:1"] } } } }\nroutes: [{ name: d, service: a }]\n'),
);

const sectionsOf = (config: CompiledConfig) => finished(fingerprintsOf(config));

/** The operator and operand of the only test of the first rule. */
function testOf(config: CompiledConfig): Test {
  const when = config.releases[0]?.rules[0]?.when;
  const only = when?.kind === "all" ? when.of[0] : when;
  if (only?.kind !== "test") throw new Error(`the first rule has another condition: ${JSON.stringify(when)}`);
  return only.test;
}

describe("a configuration that came through a message", () => {
  test.each(["full.yaml", "minimal.yaml", "nginx.yaml"])("%s is the same as the one that was compiled here", (name) => {
    const path = fileURLToPath(new URL(`../../config/${name}`, import.meta.url));
    const loaded = loadedOf(loadConfigFile(path, { env: {}, randomSecret: testOptions.randomSecret }));
    const { decoded } = sent(loaded, nothing);
    expect(sectionsOf(decoded)).toEqual(sectionsOf(loaded.compiled));
    expect(Object.keys(decoded).toSorted()).toEqual(Object.keys(loaded.compiled).toSorted());
    const { tracing, limits, adminAccess, dns } = decoded;
    const { compiled } = loaded;
    expect([tracing, limits, adminAccess, dns]).toEqual([
      compiled.tracing,
      compiled.limits,
      compiled.adminAccess,
      compiled.dns,
    ]);
    expect(Object.isFrozen(decoded.limits) && Object.isFrozen(decoded.routes[0]?.match.hosts)).toBe(true);
  });

  const operators: readonly (readonly [operator: string, attribute: string, inside: string, outside: string])[] = [
    ["userId: { regex: '^a(b|c)+$' }", "string", "abc", "abd"],
    ["userId: { regex: 'a[ab]{50}c' }", "string", `a${"b".repeat(50)}c`, "abc"],
    ["userId: { regex: '.*two$' }", "string", "one two", "two one"],
    ["userId: { inFile: users.txt }", "string", "grace", "alice"],
    ["app: { semver: '^4.2 || 6.x' }", "semver", "4.9.1", "5.0.0"],
    ["peer: { cidr: [10.0.0.0/8, '2001:db8::/32'] }", "ip", "2001:db8::7", "11.0.0.1"],
    ["since: { between: [2026-01-01, 2026-02-01] }", "time", "2026-01-07", "2026-03-07"],
  ];
  test.each(operators)("the condition %s still tells values apart", (operator, type, inside, outside) => {
    const loaded = loadedOf(load(changed("{ userId: ada, orders: { atLeast: 3 }, staff: true }", `{ ${operator} }`)));
    const passes = compileTest(testOf(sent(loaded, nothing).decoded));
    const verdicts = [inside, outside].map((text) => passes(parseValue(type as "string", text), 0));
    expect(verdicts).toEqual([true, false]);
  });

  test("a rewrite by a pattern, and a rule that a rollout draws", () => {
    const text = changed(
      "service: shop\n    release: shop\n  - name: shop",
      [
        "service: shop",
        "    release: shop",
        "    rewrite: { regex: { pattern: '^/api/([a-z]+)', replacement: '/$1/v2' } }",
        "  - name: shop",
      ].join("\n"),
    )
      .replace(
        "split: { stable: 95, canary: 5 }",
        [
          "split: { stable: 100, canary: 0 }",
          '    rollout: { id: "1", candidate: canary, steps: [{ weight: 10, hold: 1h }] }',
        ].join("\n"),
      )
      .replace("use: canary\n      - name: second", "use: rollout\n      - name: second");
    const loaded = loadedOf(load(text));
    const { decoded } = sent(loaded, nothing);
    const change = decoded.routes[0]?.rewrite?.path;
    expect(change?.kind === "regex" ? change.pattern.replace("/api/users/7") : change).toBe("/users/v2/7");
    expect(decoded.releases[0]?.rules[0]?.use).toBe(loaded.compiled.releases[0]?.rules[0]?.use);
    expect(typeof decoded.releases[0]?.rules[0]?.use).toBe("symbol");
    expect(decoded.releases[0]?.rollout?.failures).toEqual(loaded.compiled.releases[0]?.rollout?.failures);
  });

  test("a database is opened where it is new, and else the one that is open", () => {
    const files: Readonly<Record<string, Uint8Array>> = {
      "country.mmdb": mmdb({ "192.0.2.0/24": { country: { iso_code: "CN" } } }),
      "pins.secret": Buffer.from(testFiles["pins.secret"] ?? ""),
    };
    const readFile = (path: string) => files[path.split("/").at(-1) ?? ""] ?? new Uint8Array();
    const text = changed("[{ header: X-User-Id }, { cookie: uid }]", "[{ geo: country }]")
      .replace("userId: ada", "userId: CN")
      .replace("services:", "geo: { database: country.mmdb }\nservices:");
    const loaded = loadedOf(load(text, { readFile }));
    const { portable, decoded } = sent(loaded, nothing);
    expect(decoded.geo?.type).toBe(loaded.compiled.geo?.type);
    // It is taken over in the main thread first, and then sent on.
    const parts = { running: nothing.compiled, runningHash: nothing.hash, database: loaded.sources.database };
    const [again, onceMore] = [1, 2].map(() => finished(decodeConfig(structuredClone(portable), parts)).geo);
    expect([again?.type, onceMore?.type]).toEqual([decoded.geo?.type, decoded.geo?.type]);
    expect(sent(loadedOf(load(`${text}\n`, { readFile })), loaded).decoded.geo).toBe(loaded.compiled.geo);
  });

  test("long lists and large files come in pieces, the latter once", () => {
    const ca = Buffer.from("-".repeat(5_000));
    const one = loadedOf(load(validConfig));
    const [service] = one.compiled.services;
    if (service === undefined) throw new Error("there is no service");
    const tls = { ca, client: undefined, serverName: undefined, verify: "nothing", digest: "x" } as const;
    const values = Array.from({ length: 5_000 }, (_, at) => `user-${at}`);
    const when = { kind: "test", subject: { kind: "host" }, test: { op: "in", values } } as const;
    const services = [1, 2, 3].map((at) => ({ ...service, name: `shop-${at}`, tls }));
    const releases = one.compiled.releases.map((release) => ({
      ...release,
      rules: [{ name: "r", when, use: "canary" }],
    }));
    const { portable, decoded } = sent({ ...one, compiled: { ...one.compiled, services, releases } }, nothing);
    expect(decoded.services.map((spec) => Buffer.from(spec.tls?.ca ?? []).equals(ca))).toEqual([true, true, true]);
    expect(testOf(decoded)).toEqual({ op: "in", values });
    const sizes = Array.from(portable.ends, (end, piece) => end - (portable.ends[piece - 1] ?? 0));
    expect(Math.max(...sizes)).toBeLessThan(6_000);
    expect(sizes.filter((size) => size > ca.length)).toHaveLength(1);
  });
});

describe("in place of a configuration that is running", () => {
  const running = loadedOf(load(validConfig));
  const isSame = (decoded: CompiledConfig, section: SectionName) =>
    decoded[section].map((item, at) => item === running.compiled[section][at]);

  test("what has not changed is the same object, and is not sent", () => {
    const { portable, decoded } = sent(loadedOf(load(`# another text\n${validConfig}`)), running);
    for (const section of portable.sections.keys()) expect(isSame(decoded, section), section).not.toContain(false);
    expect([portable.bytes.byteLength, decoded.routes.length]).toEqual([0, 2]);
  });

  test("what has changed is new", () => {
    const { decoded } = sent(loadedOf(load(changed("prefix: /api", "prefix: /apis"))), running);
    expect(isSame(decoded, "routes")).toEqual([false, true]);
    expect([isSame(decoded, "services"), isSame(decoded, "releases")]).toEqual([[true], [true]]);
    expect(decoded.routes[0]?.match.path).toEqual({ kind: "prefix", path: "/apis" });
  });

  test("items that move keep their objects", () => {
    const compiled = { ...running.compiled, routes: running.compiled.routes.toReversed() };
    const { decoded } = sent({ ...running, compiled }, running);
    expect(decoded.routes[0]).toBe(running.compiled.routes[1]);
    expect(decoded.routes[1]).toBe(running.compiled.routes[0]);
  });

  test("a list of values whose file has changed is new", () => {
    const withList = changed("userId: ada", "userId: { inFile: users.txt }");
    const before = loadedOf(load(withList));
    const readFile = (path: string) =>
      path.endsWith("users.txt") ? Buffer.from("bob") : (testOptions.readFile?.(path) ?? new Uint8Array());
    const after = loadedOf(load(withList, { readFile }));
    const { decoded } = sent(after, before);
    expect(decoded.releases[0]).not.toBe(before.compiled.releases[0]);
    const values = (config: CompiledConfig) => {
      const found = testOf(config);
      return found.op === "inFile" ? [...found.list.values()].toSorted() : found;
    };
    expect([values(before.compiled), values(decoded)]).toEqual([["ada", "grace"], ["bob"]]);
  });

  test("a list of values that is in use is not made a second time", () => {
    const loaded = loadedOf(load(changed("userId: ada", "userId: { inFile: users.txt }")));
    const [known, found] = [testOf(loaded.compiled), testOf(sent(loaded, nothing).decoded)];
    expect(known.op === "inFile" && found.op === "inFile" && known.list === found.list).toBe(true);
  });

  test("it cannot be taken over where another one is running", () => {
    const { portable } = sent(loadedOf(load(`# another text\n${validConfig}`)), running);
    const parts = { running: nothing.compiled, runningHash: nothing.hash, database: undefined };
    expect(() => finished(decodeConfig(portable, parts))).toThrow(`was prepared for ${running.hash}, not for`);
  });

  test("a value that no configuration can have is told as a bug", () => {
    const routes = [{ ...running.compiled.routes[0], match: () => true } as unknown as RouteSpec];
    expect(() => sent({ ...running, compiled: { ...running.compiled, routes } }, running)).toThrow(
      "cannot be sent with a value of type function",
    );
  });
});
