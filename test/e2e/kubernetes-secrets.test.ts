/** @module-tag slow */
import { existsSync } from "node:fs";
import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { StartError } from "../../src/app/app.ts";
import type { ConfigSource } from "../../src/app/config-source.ts";
import { testCertificate, testKey } from "../kit/certificate.ts";
import { perch, upstream } from "../kit/freed.ts";
import { KubernetesApi } from "../kit/kubernetes-api.ts";
import type { TestPerch } from "../kit/perch.ts";
import { soon, temporaryFolder } from "../kit/served.ts";

const one = "one-token-of-32-bytes-or-more-aaaaaaaa";
const two = "two-token-of-32-bytes-or-more-bbbbbbbb";
const reference = "kubernetes://secret/shop/perch-admin/tokens";

async function cluster(where: "file" | "configmap") {
  const api = await KubernetesApi.start();
  const folder = await temporaryFolder();
  const cacheFile = join(folder, "cache.yaml");
  const origin = (await upstream("stable")).origin;
  const text = (tokens = reference, more = "") => `listeners: [{ name: web, address: "127.0.0.1:0" }]
admin: { address: "127.0.0.1:0", tokenFile: "${tokens}" }
services: { shop: { versions: { stable: { endpoints: ["${origin}"] } } } }
routes: [{ name: all, service: shop${more} }]
`;
  const path = join(folder, "perch.yaml");
  const set = async (config: string) => {
    if (where === "file") await writeFile(path, config);
    else api.setConfigMap("shop", "perch", { "perch.yaml": config });
  };
  const configMap = { kind: "configmap", namespace: "shop", name: "perch", key: "perch.yaml" } as const;
  const source = (cached: boolean): ConfigSource => ({
    ...(where === "file" ? { kind: "file", path } : { kind: "kubernetes", reference: configMap }),
    cacheFile: cached ? cacheFile : undefined,
  });
  const kubeconfig = await api.kubeconfig();
  const start = async (cached = false) => perch("", { source: source(cached), env: { KUBECONFIG: kubeconfig } });
  const setTokens = (...tokens: string[]) => api.setSecret("shop", "perch-admin", { tokens: tokens.join("\n") });
  return { api, text, set, start, setTokens, secretsFile: `${cacheFile}.secrets` };
}

const statusWith = async ({ adminOrigin }: TestPerch, token: string) =>
  (await fetch(`${adminOrigin}/api/config`, { headers: { authorization: `Bearer ${token}` } })).status;

interface ConfigAnswer {
  readonly active: { readonly hash: string };
  readonly lastError: { readonly text: string } | null;
}

const configOf = async ({ admin }: TestPerch) => (await (await admin("/api/config")).json()) as ConfigAnswer;
const lastError = async (started: TestPerch) => (await configOf(started)).lastError?.text;

describe.each(["file", "configmap"] as const)("a Secret that a configuration in a %s names", (where) => {
  test("is read, and each change of it is loaded within a second", async () => {
    const { text, set, start, setTokens } = await cluster(where);
    await set(text());
    setTokens(one);
    const started = await start();
    expect(await statusWith(started, one)).toBe(200);
    const { active } = await configOf(started);
    setTokens(two);
    await expect.poll(() => statusWith(started, two), { timeout: 2_000, interval: 20 }).toBe(200);
    expect(await statusWith(started, one)).toBe(401);
    expect((await configOf(started)).active.hash).not.toBe(active.hash);
  });

  test("is the only one of its namespace that is asked for", async () => {
    const { api, text, set, start, setTokens } = await cluster(where);
    await set(text());
    setTokens(one);
    await start();
    const asked = () => api.requests.filter((url) => url.includes("/secrets"));
    await expect.poll(() => asked().length, soon).toBe(2);
    for (const url of asked()) {
      expect(url).toContain("/api/v1/namespaces/shop/secrets?fieldSelector=metadata.name%3Dperch-admin");
    }
  });

  test("may be missing later: the active configuration stays, and the place of its name is told", async () => {
    const { api, text, set, start, setTokens } = await cluster(where);
    await set(text());
    setTokens(one);
    const started = await start();
    api.deleteSecret("shop", "perch-admin");
    await expect.poll(() => lastError(started), soon).toContain(":2:45: error:");
    expect(await lastError(started)).toContain(
      `${reference} cannot be used: the Secret shop/perch-admin does not exist`,
    );
    expect(await statusWith(started, one)).toBe(200);
    setTokens(two);
    await expect.poll(() => statusWith(started, two), soon).toBe(200);
    expect(await lastError(started)).toBeUndefined();
  });

  test("that is missing at the start is told at the place of its name", async () => {
    const { text, set, start } = await cluster(where);
    await set(text());
    const failed = start().catch((error: StartError) => error.problems.join());
    expect(await failed).toMatch(
      /perch\.yaml:2:45: error: kubernetes:\/\/secret\/shop\/perch-admin\/tokens cannot be used: the Secret shop\/perch-admin does not exist/,
    );
  });

  test("may be named later, and then comes with the change; what is not named any more is not followed", async () => {
    const { api, text, set, start, setTokens } = await cluster(where);
    const folder = await temporaryFolder();
    await writeFile(join(folder, "tokens"), one);
    await set(text(join(folder, "tokens")));
    setTokens(two);
    const started = await start();
    const before = where === "file" ? 0 : 1;
    await set(text());
    await expect.poll(() => statusWith(started, two), soon).toBe(200);
    await expect.poll(() => api.watches, soon).toBe(before + 1);
    await set(text(join(folder, "tokens")));
    await expect.poll(() => statusWith(started, one), soon).toBe(200);
    await expect.poll(() => api.watches, soon).toBe(before);
  });

  test("is in the cache, for its owner only, so that a start without the API has it", async () => {
    const { api, text, set, start, setTokens, secretsFile } = await cluster(where);
    await set(text());
    setTokens(one);
    const before = await start(true);
    await expect.poll(() => existsSync(secretsFile), soon).toBe(true);
    await before.stop();
    expect((await stat(secretsFile)).mode & 0o777).toBe(0o600);
    expect(Object.keys(JSON.parse(await readFile(secretsFile, "utf8")) as object)).toEqual([reference]);
    api.away();
    const after = await start(true);
    expect(await statusWith(after, one)).toBe(200);
    setTokens(two);
    await api.back();
    await expect.poll(() => statusWith(after, two), { timeout: 20_000 }).toBe(200);
    await expect.poll(() => readFile(secretsFile, "utf8"), soon).toContain(Buffer.from(two).toString("base64"));
  });

  test("that changes while its watch is broken is loaded once the API is back", async () => {
    const { api, text, set, start, setTokens } = await cluster(where);
    await set(text());
    setTokens(one);
    const started = await start();
    api.away();
    setTokens(two);
    api.compact();
    expect(await statusWith(started, one)).toBe(200);
    await api.back();
    await expect.poll(() => statusWith(started, two), { timeout: 20_000 }).toBe(200);
  });
});

test("a certificate and its key come from one Secret, and change together", async () => {
  const { api, text, set, start, setTokens } = await cluster("file");
  const secret = "kubernetes://secret/shop/web-tls";
  const tls = `tls: { certificates: [{ certFile: "${secret}/tls.crt", keyFile: "${secret}/tls.key" }] }`;
  await set(text().replace('"127.0.0.1:0" }]', `"127.0.0.1:0", ${tls} }]`));
  setTokens(one);
  api.setSecret("shop", "web-tls", { "tls.crt": testCertificate, "tls.key": testKey });
  const started = await start();
  expect(started.app.listeners).toHaveLength(1);
  await expect.poll(() => api.requests.filter((url) => url.includes("web-tls")).length, soon).toBe(2);
  api.setSecret("shop", "web-tls", { "tls.crt": testCertificate, "tls.key": "none" });
  await expect.poll(() => lastError(started), soon).toContain(`${secret}/tls.key cannot be used`);
});

test("all workers have it, and each change of it", async () => {
  const { api, set, start } = await cluster("configmap");
  const [stable, canary] = [await upstream("stable"), await upstream("canary")];
  await set(`workers: 2
listeners: [{ name: web, address: "127.0.0.1:0" }]
admin: { address: "127.0.0.1:0" }
attributes: { user: { type: string, from: [{ header: x-user }] } }
services:
  shop: { versions: { stable: { endpoints: ["${stable.origin}"] }, canary: { endpoints: ["${canary.origin}"] } } }
releases:
  shop:
    rules: [{ name: beta, when: { user: { inFile: "kubernetes://configmap/shop/users/beta.txt" } }, use: canary }]
    split: { stable: 1, canary: 0 }
routes: [{ name: all, service: shop, release: shop }]
`);
  api.setConfigMap("shop", "users", { "beta.txt": "ada" });
  const { origin } = await start();
  const versionsOf = async (user: string) => {
    const answers = Array.from({ length: 8 }, () =>
      fetch(origin, { headers: { "x-user": user, connection: "close" } }),
    );
    return [...new Set((await Promise.all(answers)).map(({ headers }) => headers.get("x-upstream")))];
  };
  expect(await versionsOf("ada")).toEqual(["canary"]);
  api.setConfigMap("shop", "users", { "beta.txt": "grace" });
  await expect.poll(() => versionsOf("grace"), soon).toEqual(["canary"]);
  expect(await versionsOf("ada")).toEqual(["stable"]);
});

test("a refused Secret is told with the API's words, and a reload does not wait for it", async () => {
  const { api, text, set, start, setTokens } = await cluster("file");
  await set(text());
  setTokens(one);
  const started = await start();
  await expect.poll(() => api.watches, soon).toBe(1);
  const forbidden = 'secrets "other" is forbidden: User "system:serviceaccount:shop:perch" cannot list resource';
  api.refuse({ status: 403, reason: forbidden }, { status: 403, reason: forbidden });
  await set(text("kubernetes://secret/shop/other/tokens"));
  await expect
    .poll(() => lastError(started), soon)
    .toContain(`cannot be used: the Kubernetes API does not give it: 403: ${forbidden}`);
  api.setSecret("shop", "other", { tokens: two });
  await expect.poll(() => statusWith(started, two), { timeout: 10_000 }).toBe(200);
});

test("without access to the API, the place of the name says what to do", async () => {
  const folder = await temporaryFolder();
  const path = join(folder, "perch.yaml");
  const config = `admin: { tokenFile: "${reference}" }\nservices: { a: { versions: { b: { endpoints: ["http://127.0.0.1:1"] } } } }\nroutes: [{ name: all, service: a }]\n`;
  await writeFile(path, config);
  const failed = perch("", { source: { kind: "file", path }, env: {} }).catch((error: StartError) => error.problems);
  expect(await failed).toEqual([
    expect.stringContaining(`perch.yaml:1:21: error: ${reference} cannot be used: this is not a Pod`),
  ]);
});
