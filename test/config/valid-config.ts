import { type LoadOptions, type LoadResult, loadConfigText } from "../../src/config/load.ts";
import { formatDiagnostic } from "../../src/config/schema-kit/diagnostics.ts";

/** A valid configuration. Each test breaks one part of it. */
export const validConfig = `listeners:
  - name: web
    address: 0.0.0.0:8080
trustedProxies: [10.0.0.0/8]
attributes:
  userId: { type: string, from: [{ header: X-User-Id }, { cookie: uid }] }
  orders: { type: number, from: [{ query: orders }] }
  staff: { type: boolean, from: [{ header: x-staff, trust: proxies }] }
  since: { type: time, from: [{ header: x-since }] }
  app: { type: semver, from: [{ header: x-app }] }
  peer: { type: ip, from: [{ clientAddress: true }] }
services:
  shop:
    default: stable
    versions:
      stable: { endpoints: ["http://shop-stable:80"] }
      canary: { endpoints: ["http://shop-canary:80"] }
    timeouts: { connect: 2s }
releases:
  shop:
    sticky:
      by: userId
      cookie: { name: pin, path: /, secretFile: pins.secret }
    override: { header: x-version, cookie: version, allowFrom: [10.0.0.0/8] }
    rules:
      - name: first
        when: { userId: ada, orders: { atLeast: 3 }, staff: true }
        use: canary
      - name: second
        when: { since: { after: 2026-01-01 }, app: { semver: ">=4" }, peer: { cidr: 10.0.0.0/8 } }
        use: { canary: 10, stable: 90 }
    split: { stable: 95, canary: 5 }
routes:
  - name: api
    match: { hosts: [shop.example.com], path: { prefix: /api } }
    service: shop
    release: shop
  - name: shop
    service: shop
    release: shop
`;

const secret = "0123456789abcdef0123456789abcdef";

/** The files that test configurations name, by their base names. */
export const testFiles: Readonly<Record<string, string>> = {
  "pins.secret": `${secret}\n`,
  "short.secret": "too short\n",
  "empty.secret": "\n\n",
  "users.txt": "# beta\nada\n\n grace \n",
  "numbers.txt": "1\n2.0\nthree\n",
};

export const testOptions: LoadOptions & { readonly file: string } = {
  file: "perch.yaml",
  env: { PORT: "9090", WEIGHT: "5", WORD: "word", EMPTY: "" },
  readFile: (path) => {
    const contents = testFiles[path.split("/").at(-1) ?? ""];
    if (contents === undefined) throw Object.assign(new Error("no such file"), { code: "ENOENT" });
    return Buffer.from(contents);
  },
  randomSecret: (release) => Buffer.from(`random secret of ${release}`.padEnd(32, ".")),
};

export function load(text: string, options: Partial<LoadOptions & { file: string }> = {}): LoadResult {
  return loadConfigText(text, { ...testOptions, ...options });
}

/**
 * The valid configuration with one replacement. Throws if `find` does not occur, since the test would check nothing.
 */
export function changed(find: string, replacement: string): string {
  if (!validConfig.includes(find)) throw new Error(`the valid configuration has no ${JSON.stringify(find)}`);
  return validConfig.replace(find, () => replacement);
}

/** The first line of every problem: `line:column: severity: message; suggestion`. */
export function problemsOf(result: LoadResult): readonly string[] {
  const found = result.ok ? result.warnings : result.problems;
  return found.map(
    (problem) =>
      formatDiagnostic(problem)
        .split("\n")[0]
        ?.replace(/^perch\.yaml:/, "")
        .replace(process.cwd(), "<folder>") ?? "",
  );
}

/** The compiled form of a valid configuration. Throws the problems of an invalid one. */
export function compiled(text: string) {
  const result = load(text);
  if (!result.ok) throw new Error(problemsOf(result).join("\n"));
  return result.compiled;
}
