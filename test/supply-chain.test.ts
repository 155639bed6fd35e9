import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

interface LockedPackage {
  readonly version: string;
  readonly license?: string;
  readonly integrity?: string;
  readonly resolved?: string;
  readonly dev?: boolean;
  readonly hasInstallScript?: boolean;
  readonly optional?: boolean;
}

interface Bill {
  readonly metadata: { readonly component: { readonly name: string; readonly "bom-ref": string } };
  readonly components: readonly { readonly purl: string; readonly "bom-ref": string }[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[];
}

const read = (name: string) => JSON.parse(readFileSync(new URL(`../${name}`, import.meta.url), "utf8"));
const lock: { readonly packages: Readonly<Record<string, LockedPackage>> } = read("package-lock.json");
const manifest: Readonly<Record<"dependencies" | "devDependencies", Readonly<Record<string, string>>>> =
  read("package.json");

const locked = Object.entries(lock.packages).filter(([path]) => path !== "");
const shipped = locked.filter(([, { dev }]) => dev !== true);

/** Ask nothing of those who use Perch but to keep a notice. */
const permissive: ReadonlySet<string> = new Set(["MIT", "ISC", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0", "0BSD"]);

describe("what Perch ships with", () => {
  test.each(shipped)("%s has a permissive licence", (_path, { license }) => {
    expect(permissive).toContain(license);
  });

  test("is what the bill of materials lists, and nothing else", () => {
    const cwd = fileURLToPath(new URL("../", import.meta.url));
    const bill: Bill = JSON.parse(execFileSync("npm", ["run", "-s", "sbom"], { cwd, encoding: "utf8" }));
    const listed = bill.components.map(({ purl }) => decodeURIComponent(purl));
    const packages = shipped.map(
      ([path, { version }]) => `pkg:npm/${path.replace(/^.*node_modules\//, "")}@${version}`,
    );
    expect(listed.sort()).toEqual([...new Set(packages)].sort());
    expect(bill.metadata.component.name).toBe("perch-proxy");
    const refs = new Set([
      bill.metadata.component["bom-ref"],
      ...bill.components.map((component) => component["bom-ref"]),
    ]);
    const dangling = bill.dependencies
      .flatMap(({ ref, dependsOn }) => [ref, ...dependsOn])
      .filter((ref) => !refs.has(ref));
    expect(dangling).toEqual([]);
  });

  test("runs no script when it is installed", () => {
    expect(shipped.filter(([, { hasInstallScript }]) => hasInstallScript)).toEqual([]);
  });
});

describe("the lock file", () => {
  test("holds the digest of every package", () => {
    expect(locked.filter(([, { integrity }]) => !integrity?.startsWith("sha512-"))).toEqual([]);
  });

  test("names no host to fetch from, so that any registry's mirror will do", () => {
    expect(locked.filter(([, { resolved }]) => resolved !== undefined)).toEqual([]);
  });

  test("is as old as the manifest: direct dependencies are exact, and locked at what it says", () => {
    const direct = Object.entries({ ...manifest.dependencies, ...manifest.devDependencies });
    const lockedAt = direct.map(([name]) => [name, lock.packages[`node_modules/${name}`]?.version]);
    expect(lockedAt).toEqual(direct);
  });
});
