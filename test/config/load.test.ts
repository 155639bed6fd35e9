import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { type LoadResult, loadConfigFile } from "../../src/config/load.ts";
import { formatDiagnostic } from "../../src/config/schema-kit/diagnostics.ts";
import { changed, load, problemsOf, testFiles, testOptions, validConfig } from "./valid-config.ts";

const folder = mkdtempSync(join(tmpdir(), "perch-load-"));
afterAll(() => rmSync(folder, { recursive: true }));

const pathOf = (name: string): string => join(folder, name);

function write(name: string, contents: string | Uint8Array): string {
  writeFileSync(pathOf(name), contents);
  return pathOf(name);
}

function loadFile(file: string): LoadResult {
  return loadConfigFile(file, { env: {}, randomSecret: testOptions.randomSecret });
}

/** The single problem, without the folder in file names. */
function problemOf(result: LoadResult): string {
  if (result.ok || result.problems.length !== 1) throw new Error("expected one problem");
  return result.problems.map(formatDiagnostic).join().replaceAll(`${folder}/`, "");
}

describe("a configuration file", () => {
  write("pins.secret", testFiles["pins.secret"] ?? "");
  const good = write("perch.yaml", validConfig);

  test("is loaded with the files that it names, relative to its folder", () => {
    const result = loadFile(good);
    expect(problemsOf(result)).toEqual([]);
    expect(result.ok && result.compiled.files).toEqual([pathOf("pins.secret")]);
  });

  test("may be a link, as in a ConfigMap volume", () => {
    symlinkSync(good, pathOf("link.yaml"));
    expect(loadFile(pathOf("link.yaml")).ok).toBe(true);
  });

  test("may start with a byte order mark", () => {
    expect(loadFile(write("bom.yaml", `\ufeff${validConfig}`)).ok).toBe(true);
    expect(problemOf(loadFile(write("bom.yaml", "\ufeff[")))).toContain("bom.yaml:1:2: error:");
  });

  test("that is missing", () => {
    const message = "none.yaml:1:1: error: the configuration cannot be read: no such file";
    expect(problemOf(loadFile(pathOf("none.yaml")))).toBe(message);
  });

  test("that is a directory", () => {
    const result = loadConfigFile(folder, { env: {}, randomSecret: testOptions.randomSecret });
    const message = `${folder}:1:1: error: the configuration cannot be read: it is not a regular file`;
    expect(problemOf(result)).toBe(message);
  });

  test("that is a pipe without a writer", () => {
    execFileSync("mkfifo", [pathOf("pipe.yaml")]);
    const message = "pipe.yaml:1:1: error: the configuration cannot be read: it is not a regular file";
    expect(problemOf(loadFile(pathOf("pipe.yaml")))).toBe(message);
  });

  test("that is a device without an end", () => {
    expect(problemOf(loadFile("/dev/zero"))).toContain("it is not a regular file");
  });

  test("of more than 4 MiB", () => {
    const large = write("large.yaml", validConfig);
    truncateSync(large, 4 * 1024 * 1024 + 1);
    const message = "large.yaml:1:1: error: the configuration cannot be read: it is too large";
    expect(problemOf(loadFile(large))).toBe(message);
  });

  test("that is not UTF-8 is reported with the location of the first such byte", () => {
    const bytes = Buffer.concat([Buffer.from("a: 商\nbc: "), Uint8Array.of(0xff, 0x0a, 0xfe)]);
    expect(problemOf(loadFile(write("latin.yaml", bytes)))).toBe(
      "latin.yaml:2:5: error: the file is not valid UTF-8\n   2 | bc: \ufffd\n     |     ^",
    );
  });
});

describe("a configuration text", () => {
  test("of more than 4 MiB", () => {
    expect(problemsOf(load("#".repeat(4 * 1024 * 1024 + 1)))).toEqual([
      "1:1: error: the configuration is larger than 4 MiB",
    ]);
  });

  test("may start with a byte order mark, which columns do not count", () => {
    expect(problemsOf(load("\ufeffa: 1"))).toContainEqual(expect.stringContaining("1:1: error: unknown key"));
  });

  test("a problem in the target of an alias is reported once", () => {
    const text = changed('{ endpoints: ["http://shop-stable:80"] }', "&stable { endpoints: [] }").replace(
      '{ endpoints: ["http://shop-canary:80"] }',
      "*stable",
    );
    expect(problemsOf(load(text))).toEqual(["16:36: error: the list of endpoints is empty"]);
  });

  test("all problems are reported at once, in file order", () => {
    const text = changed("by: userId", "by: usrId")
      .replace("canary: 5 }", "canry: -5 }")
      .replace("connect: 2s", "connect: 2")
      .replace("name: second", "name: first")
      .replace("    service: shop\n    release: shop\n", "    service: shpo\n    relase: shop\n")
      .replace("[{ header: x-app }]", "[{ jwt: app }]");
    expect(problemsOf(load(text))).toEqual([
      "10:33: error: a jwt source needs the jwt section, which defines how tokens are verified; add jwt: { keys: [...] } at the top level",
      '18:26: error: "2" is not a duration; add a unit, as in 2s',
      '22:11: error: unknown attribute "usrId"; did you mean "userId"?',
      '29:15: error: another rule of this release is already named "first"',
      '32:26: error: unknown version "canry"; did you mean "canary"?',
      "32:33: error: -5 is too small: the minimum is 0",
      '36:14: error: unknown service "shpo"; did you mean "shop"?',
      '37:5: error: unknown key "relase" in a route; did you mean "release"?',
    ]);
  });

  test("the hash covers the text and the files that it names", () => {
    const hashOf = (text: string, secret = "s".repeat(32)): string => {
      const result = load(text, { readFile: () => Buffer.from(secret) });
      return result.ok ? result.hash : "";
    };
    expect(hashOf(validConfig)).toMatch(/^[0-9a-f]{64}$/);
    expect(hashOf(validConfig)).toBe(hashOf(validConfig));
    expect(hashOf(`${validConfig}#`)).not.toBe(hashOf(validConfig));
    expect(hashOf(validConfig, "t".repeat(32))).not.toBe(hashOf(validConfig));
  });

  test("a random secret is requested once, by the release's name, and only without a secretFile", () => {
    const requested: string[] = [];
    const randomSecret = (release: string): Uint8Array => {
      requested.push(release);
      return new Uint8Array(32);
    };
    load(validConfig, { randomSecret });
    expect(requested).toEqual([]);
    load(changed(", secretFile: pins.secret", ""), { randomSecret });
    expect(requested).toEqual(["shop"]);
  });

  test("a file is read once, however often it is used", () => {
    const read: string[] = [];
    const text = changed("allowFrom: [10.0.0.0/8] }", "secretFile: pins.secret }");
    const result = load(text, {
      readFile: (path) => {
        read.push(path);
        return Buffer.from("s".repeat(32));
      },
    });
    expect(result.ok).toBe(true);
    expect(read).toHaveLength(1);
  });

  test("files that cannot be used are listed too, so that they can be watched", () => {
    const result = load(changed("pins.secret", "/etc/none.secret"));
    expect(!result.ok && result.files).toEqual(["/etc/none.secret"]);
  });

  test("ten thousand routes and a thousand rules load without quadratic time", {
    tags: ["slow"],
    timeout: 60_000,
  }, () => {
    const rule = "        when: { userId: ada, orders: { atLeast: 3 }, staff: true }\n        use: canary\n";
    const more = Array.from({ length: 1_000 }, (_, at) => {
      return `      - name: r-${at}\n        when: { userId: [u-${at}, b], since: { after: 2026-01-01 } }\n        use: canary\n`;
    });
    const routes = Array.from({ length: 10_000 }, (_, at) => {
      return `  - name: r-${at}\n    match: { hosts: [h${at}.example.com], path: { prefix: /p${at} } }\n    service: shop\n    release: shop\n`;
    });
    const text = changed(rule, `${rule}${more.join("")}`).replace("routes:\n", `routes:\n${routes.join("")}`);
    const start = process.cpuUsage();
    const result = load(text);
    // Takes 1.4 s on an idle machine. CPU time, since wall time depends on the load.
    expect(process.cpuUsage(start).user / 1_000).toBeLessThan(10_000);
    expect(problemsOf(result)).toEqual([]);
    expect(result.ok && result.compiled.routes.length).toBe(10_002);
  });
});
