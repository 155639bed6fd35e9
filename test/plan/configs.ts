import { readFileSync } from "node:fs";
import type { LoadedConfig } from "../../src/config/load.ts";
import { loadConfigText } from "../../src/config/load.ts";

/** The body of a release in YAML flow style, without the braces. */
export type ReleaseText = string;

const versions = ["stable", "canary", "v3"]
  .map((name, at) => `${name}: { endpoints: ["http://127.0.0.1:${8001 + at}"] }`)
  .join(", ");

/** One service with three versions, and one release. */
export function shopYaml(release: ReleaseText, defaultVersion = "stable"): string {
  return `attributes:
  userId: { type: string, from: [{ header: x-user-id }] }
  account: { type: string, from: [{ header: x-account }] }
  region: { type: string, from: [{ header: x-region }] }
services: { shop: { default: ${defaultVersion}, versions: { ${versions} } } }
releases: { shop: { ${release} } }
routes: [{ name: shop, service: shop, release: shop }]
`;
}

export function load(yaml: string, secrets: Readonly<Record<string, string>> = {}): LoadedConfig {
  const loaded = loadConfigText(yaml, {
    file: "/perch.yaml",
    env: {},
    readFile: (path) => (path.endsWith(".pem") ? readFileSync(path) : Buffer.from(secrets[path.slice(1)] ?? "")),
    randomSecret: () => Buffer.alloc(32, "s"),
  });
  if (!loaded.ok) throw new Error(loaded.problems.map(({ message }) => message).join("\n"));
  return loaded;
}
