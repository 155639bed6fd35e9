import { expect, test } from "vitest";
import { KubernetesApi } from "../kit/kubernetes-api.ts";
import { perch, temporaryFolder } from "./captured-terminal.ts";

const write = temporaryFolder();
const reference = "kubernetes://configmap/shop/perch/perch.yaml";
const secret = "kubernetes://secret/shop/pins/secret";

const config = (split = "{ stable: 95, canary: 5 }", cookie = `cookie: { secretFile: "${secret}" }`) => `services:
  shop: { versions: { stable: { endpoints: ["http://127.0.0.1:1"] }, canary: { endpoints: ["http://127.0.0.1:2"] } } }
releases: { shop: { sticky: { ${cookie} }, split: ${split} } }
routes: [{ name: all, service: shop, release: shop }]
`;

async function cluster() {
  const api = await KubernetesApi.start();
  api.setConfigMap("shop", "perch", { "perch.yaml": config() });
  api.setSecret("shop", "pins", { secret: "s".repeat(32) });
  return { api, env: { KUBECONFIG: await api.kubeconfig() } };
}

test("validate reads the configuration, and the Secrets that it names, once from the API", async () => {
  const { api, env } = await cluster();
  const { code, out, err } = await perch(["validate", reference], env);
  expect(err).toBe("");
  expect(out).toMatch(/^kubernetes:\/\/configmap\/shop\/perch\/perch\.yaml: ok \([0-9a-f]{12}, 1 route/);
  expect(code).toBe(0);
  expect(api.requests).toEqual([
    "/api/v1/namespaces/shop/configmaps?fieldSelector=metadata.name%3Dperch",
    "/api/v1/namespaces/shop/secrets?fieldSelector=metadata.name%3Dpins",
  ]);
});

test("a file that names Secrets is validated with them", async () => {
  const { api, env } = await cluster();
  const file = write("perch.yaml", config());
  expect(await perch(["validate", file], env)).toMatchObject({ code: 0, err: "" });
  api.setSecret("shop", "pins", { secret: "short" });
  const { code, err } = await perch(["validate", file], env);
  expect(err).toContain(`error: ${secret} cannot be used: line 1 has 5 bytes; a secret needs at least 32`);
  expect(code).toBe(2);
});

test.each([
  ["explain", ["explain", "-c", reference, "/"], /release +shop/],
  ["plan", ["plan", reference, reference], /./],
])("%s reads it from the API", async (_, args, printed) => {
  const { env } = await cluster();
  const { code, out, err } = await perch(args, env);
  expect(err).toBe("");
  expect(out).toMatch(printed);
  expect(code).toBe(0);
});

test("a problem in it has its place, under the name of the reference", async () => {
  const { api, env } = await cluster();
  api.setConfigMap("shop", "perch", { "perch.yaml": config("{ stabel: 1 }") });
  const { code, err } = await perch(["explain", "-c", reference, "/"], env);
  expect(err).toMatch(/^kubernetes:\/\/configmap\/shop\/perch\/perch\.yaml:3:\d+: error: /);
  expect(code).toBe(2);
});

test.each([
  [
    "an object that does not exist",
    "kubernetes://configmap/shop/other/perch.yaml",
    "the ConfigMap shop/other does not exist",
  ],
  [
    "a key that it does not have",
    "kubernetes://configmap/shop/perch/x",
    "the ConfigMap shop/perch has no key x: it has perch.yaml",
  ],
  [
    "a reference of another form",
    "kubernetes://configmap/shop/perch",
    "it is not of the form kubernetes://configmap/NAMESPACE/NAME/KEY, or secret: the key is missing",
  ],
  [
    "a scheme that is written wrong",
    "kubernetes:/configmap/shop/perch/perch.yaml",
    "it is no file's path; of URLs only kubernetes://configmap/NAMESPACE/NAME/KEY, or secret, is known",
  ],
])("%s is told, with exit code 2", async (_, given, why) => {
  const { env } = await cluster();
  for (const args of [
    ["validate", given],
    ["explain", "-c", given, "/"],
  ]) {
    const { code, err } = await perch(args, env);
    expect(err).toContain(`${given}:1:1: error: ${why}\n`);
    expect(code).toBe(2);
  }
});

test("an API that is away, that refuses, or to which there is no access, is told, with exit code 2", async () => {
  const { api, env } = await cluster();
  api.refuse({ status: 403, reason: "forbidden" });
  const refused = await perch(["validate", reference], env);
  expect(refused.err).toContain(`${reference}:1:1: error: the Kubernetes API does not give it: 403: forbidden\n`);
  api.away();
  const away = await perch(["validate", reference], env);
  expect(away.err).toMatch(/error: the Kubernetes API does not give it: .*ECONNREFUSED/);
  const without = await perch(["validate", reference], {});
  expect(without.err).toContain(`${reference}:1:1: error: this is not a Pod (KUBERNETES_SERVICE_HOST is not set)`);
  expect([refused.code, away.code, without.code]).toEqual([2, 2, 2]);
});

test.each([
  [
    "a secret in a ConfigMap",
    "kubernetes://configmap/shop/pins/secret",
    "a secret does not belong in a ConfigMap; keep it in a Secret",
  ],
  [
    "a URL that is none of a key",
    "https://vault/pins",
    '"https://vault/pins" is no file\'s path; of URLs only kubernetes://',
  ],
  ["half a reference", "kubernetes://secret/shop", '"kubernetes://secret/shop" is not of the form kubernetes://'],
])("%s is an error at its place", async (_, named, why) => {
  const file = write("named.yaml", config(undefined, `cookie: { secretFile: "${named}" }`));
  const { code, err } = await perch(["validate", file], {});
  expect(err).toMatch(/named\.yaml:3:\d+: error: /);
  expect(err).toContain(why);
  expect(code).toBe(2);
});

test("what is only read from files says so", async () => {
  const file = write("state.yaml", `state: { file: "${secret}" }\n${config(undefined, "")}`);
  const { err } = await perch(["validate", file], {});
  expect(err).toContain("1:16: error: this is read from a file only, not from the Kubernetes API");
});

test.each([
  ["kubernetes:/configmap/shop/perch/perch.yaml", "is no file's path; of URLs only kubernetes://"],
  ["kubernetes://configmap/shop/perch_config/perch.yaml", 'the name "perch_config" is not one that Kubernetes allows'],
])("serve says what is wrong with %s", async (given, why) => {
  const { code, err } = await perch(["serve", "-c", given]);
  expect(err).toContain(`"${given}" is`);
  expect(err).toContain(why);
  expect(code).toBe(2);
});
