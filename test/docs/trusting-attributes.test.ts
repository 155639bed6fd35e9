import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createEngine } from "../../src/index.ts";
import { mmdb } from "../kit/mmdb.ts";
import { keySet, type Signer, signer } from "../kit/tokens.ts";
import { readPage } from "./page.ts";
import { configBlocks } from "./yaml-blocks.ts";

/** The page's configurations decide about users who are what they say, and about others who only say so. */
const page = readPage("docs/trusting-attributes.md");
const folder = mkdtempSync(join(tmpdir(), "perch-trusting-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const nowMs = Date.UTC(2026, 5, 1);
const seconds = nowMs / 1_000;
const host = "shop.example.com";
const saysSo = { "x-user-region": "cn-east", "x-user-registered-at": "2026-03-01" };

let issuer: Signer;
let stranger: Signer;
beforeAll(async () => {
  [issuer, stranger] = [await signer("RS256"), await signer("RS256")];
  writeFileSync(join(folder, "keys.json"), keySet(issuer.jwk));
  writeFileSync(
    join(folder, "city.mmdb"),
    mmdb({
      "198.51.100.0/24": { country: { iso_code: "CN" }, subdivisions: [{ iso_code: "SH" }] },
      "203.0.113.0/24": { country: { iso_code: "CN" }, subdivisions: [{ iso_code: "GD" }] },
    }),
  );
});

/** The page's file of that name. The library fetches no keys, so they are in a file; the database is one of this test. */
function deciding(name: string) {
  const block = configBlocks(page).find((text) => text.startsWith(`# ${name}\n`));
  if (block === undefined) throw new Error(`${page.path} has no ${name}`);
  const text = block
    .replace(/jwksUrl: "[^"]*"/, `jwksFile: ${join(folder, "keys.json")}`)
    .replace(/database: \S+/, `database: ${join(folder, "city.mmdb")} `);
  const engine = createEngine(text, { env: {}, nowMs: () => nowMs });
  return (remoteAddress: string, headers: Readonly<Record<string, string>>) =>
    engine.decide({ method: "GET", url: "/", headers: { host, ...headers }, remoteAddress }).version;
}

const claims = { iss: "https://id.example.com", aud: "shop", exp: seconds + 3_600 };
const eastern = { ...claims, region: "cn-east", registered_at: "2026-03-01" };

async function bearer(by: Signer, token: object) {
  return { authorization: `Bearer ${await by.token({ ...token })}` };
}

test("bare.yaml: who knows the headers' names chooses the version", () => {
  const versionOf = deciding("bare.yaml");
  expect(versionOf("203.0.113.9", saysSo)).toBe("canary");
  expect(versionOf("203.0.113.9", {})).toBe("stable");
});

describe("jwt.yaml", () => {
  test("a token of the issuer decides", async () => {
    const versionOf = deciding("jwt.yaml");
    expect(versionOf("203.0.113.9", await bearer(issuer, eastern))).toBe("canary");
    expect(versionOf("203.0.113.9", await bearer(issuer, { ...eastern, registered_at: "2025-03-01" }))).toBe("stable");
  });

  test("headers, a token of somebody else, and one for another application do not", async () => {
    const versionOf = deciding("jwt.yaml");
    expect(versionOf("203.0.113.9", saysSo)).toBe("stable");
    expect(versionOf("203.0.113.9", await bearer(stranger, eastern))).toBe("stable");
    expect(versionOf("203.0.113.9", await bearer(issuer, { ...eastern, aud: "blog" }))).toBe("stable");
    expect(versionOf("203.0.113.9", await bearer(issuer, { ...eastern, exp: seconds - 3_600 }))).toBe("stable");
  });
});

describe("geo.yaml", () => {
  const recent = { ...claims, registered_at: "2026-03-01" };

  test("the client's address decides, as the load balancer gives it", async () => {
    const versionOf = deciding("geo.yaml");
    const token = await bearer(issuer, recent);
    expect(versionOf("10.0.0.7", { ...token, "x-forwarded-for": "198.51.100.4" })).toBe("canary");
    expect(versionOf("10.0.0.7", { ...token, "x-forwarded-for": "203.0.113.9" })).toBe("stable");
    expect(versionOf("198.51.100.4", token)).toBe("canary");
    expect(versionOf("198.51.100.4", {})).toBe("stable");
  });

  test("an X-Forwarded-For of the client's own does not, neither alone nor before the load balancer's", async () => {
    const versionOf = deciding("geo.yaml");
    const token = await bearer(issuer, recent);
    expect(versionOf("203.0.113.9", { ...token, "x-forwarded-for": "198.51.100.4" })).toBe("stable");
    expect(versionOf("10.0.0.7", { ...token, "x-forwarded-for": "198.51.100.4, 203.0.113.9" })).toBe("stable");
  });
});

test("gateway.yaml: the headers count from the gateway alone", () => {
  const versionOf = deciding("gateway.yaml");
  expect(versionOf("10.0.0.7", saysSo)).toBe("canary");
  expect(versionOf("10.0.0.7", {})).toBe("stable");
  expect(versionOf("203.0.113.9", saysSo)).toBe("stable");
  // Another Pod of the cluster, and a client that names the gateway as the address before itself.
  expect(versionOf("10.0.0.9", saysSo)).toBe("stable");
  expect(versionOf("203.0.113.9", { ...saysSo, "x-forwarded-for": "10.0.0.7" })).toBe("stable");
});
