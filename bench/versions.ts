import { readFileSync } from "node:fs";

/** Installed versions of Perch and of the packages of the Node proxies. */
export function packageVersions(): Readonly<Record<string, string>> {
  const root = new URL("../", import.meta.url);
  const names = ["http-proxy-3", "@fastify/http-proxy", "fastify", "undici"];
  const installed = names.map((name) => [name, versionIn(new URL(`node_modules/${name}/package.json`, root))]);
  return { perch: versionIn(new URL("package.json", root)), ...Object.fromEntries(installed), node: process.version };
}

function versionIn(file: URL): string {
  const { version } = JSON.parse(readFileSync(file, "utf8")) as { readonly version: string };
  return version;
}
