import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { performance } from "node:perf_hooks";
import { beforeEach, describe, expect, test } from "vitest";
import { type ApiAccess, NoApiAccess } from "../../src/kubernetes/api-access.ts";
import { ApiClient } from "../../src/kubernetes/api-client.ts";
import { findAccess } from "../../src/kubernetes/find-access.ts";
import { testCertificate } from "../kit/certificate.ts";
import { freeAfterTest } from "../kit/freed.ts";
import { KubernetesApi } from "../kit/kubernetes-api.ts";
import { temporaryFolder } from "../kit/served.ts";

let folder: string;
beforeEach(async () => {
  folder = await temporaryFolder();
});

/** Writes a kubeconfig file, and returns its path. */
async function kubeconfig(name: string, config: Readonly<Record<string, unknown>>): Promise<string> {
  const file = join(folder, name);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, JSON.stringify({ apiVersion: "v1", kind: "Config", ...config }));
  return file;
}

const context = (name: string, cluster: string, user: string) => ({ contexts: [{ name, context: { cluster, user } }] });
const cluster = (name: string, server: string) => ({ clusters: [{ name, cluster: { server } }] });
const user = (name: string, token: string) => ({ users: [{ name, user: { token } }] });

function access(env: Readonly<Record<string, string>>, podFolder?: string): ApiAccess {
  const found = findAccess(env, () => performance.now(), podFolder);
  freeAfterTest(() => found.close());
  return found;
}

const problemOf = (env: Readonly<Record<string, string>>) => {
  try {
    access(env);
  } catch (error) {
    if (error instanceof NoApiAccess) return error.message;
    throw error;
  }
  return undefined;
};

describe("the files of KUBECONFIG", () => {
  test("are merged: for each name, and for the current context, the first file that has it wins", async () => {
    const one = await kubeconfig("one", { ...context("c", "here", "me"), ...user("me", "first") });
    const two = await kubeconfig("two", {
      "current-context": "c",
      ...context("c", "elsewhere", "you"),
      ...cluster("here", "https://first.example/"),
      ...user("me", "second"),
    });
    const three = await kubeconfig("three", { "current-context": "d", ...cluster("here", "https://second.example") });
    const { server, authorization } = access({ KUBECONFIG: [one, two, three].join(":") });
    expect(server).toBe("https://first.example");
    expect(authorization()).toBe("Bearer first");
  });

  test("that do not exist are skipped", async () => {
    const config = { "current-context": "c", ...context("c", "here", "me"), ...user("me", "t") };
    const file = await kubeconfig("one", { ...config, ...cluster("here", "https://api.example") });
    expect(access({ KUBECONFIG: `${join(folder, "none")}::${file}:` }).server).toBe("https://api.example");
  });

  test("name paths relative to themselves", async () => {
    const api = await KubernetesApi.start();
    api.setConfigMap("shop", "perch", {});
    const main = await kubeconfig("main/config", { "current-context": "c", ...context("c", "here", "me") });
    const parts = await kubeconfig("parts/config", {
      clusters: [
        { name: "here", cluster: { server: `https://127.0.0.1:${api.port}`, "certificate-authority": "pki/ca.crt" } },
      ],
      users: [{ name: "me", user: { tokenFile: "pki/token" } }],
    });
    await mkdir(join(folder, "parts", "pki"));
    await writeFile(join(folder, "parts", "pki", "ca.crt"), testCertificate);
    const { env, folder: pod } = await api.pod();
    const token = access(env, pod).authorization()?.replace("Bearer ", "") ?? "";
    await writeFile(join(folder, "parts", "pki", "token"), `${token}\n`);
    const client = new ApiClient(access({ KUBECONFIG: `${main}:${parts}` }));
    const list = await client.get("/api/v1/namespaces/shop/configmaps", {}, new AbortController().signal);
    expect(list).toMatchObject({ items: [{ metadata: { name: "perch" } }] });
  });

  test.each([
    ["no current context", {}, "current-context is not set; choose one by kubectl config use-context NAME"],
    ["an empty current context", { "current-context": "" }, "current-context is not set"],
    ["an unknown context", { "current-context": "d" }, 'there is no context "d"'],
    ["an unknown cluster", { "current-context": "c", clusters: [] }, 'there is no cluster "here", which c names'],
    ["an unknown user", { "current-context": "c", users: [] }, 'there is no user "me", which c names'],
    ["a cluster without a server", { "current-context": "c", ...cluster("here", "") }, "the cluster has no server"],
    [
      "a plugin",
      { "current-context": "c", users: [{ name: "me", user: { exec: { command: "aws" } } }] },
      "the user has credentials of a plugin; use a token, as of kubectl create token",
    ],
    [
      "a token's file that does not exist",
      { "current-context": "c", users: [{ name: "me", user: { tokenFile: "none" } }] },
      "ENOENT",
    ],
    [
      "a CA's file that does not exist",
      {
        "current-context": "c",
        clusters: [{ name: "here", cluster: { server: "https://a", "certificate-authority": "none" } }],
      },
      "ENOENT",
    ],
  ])("with %s are told by their names", async (_, given, problem) => {
    const whole = { ...context("c", "here", "me"), ...cluster("here", "https://api.example"), ...user("me", "t") };
    const file = await kubeconfig("config", { ...whole, ...given });
    expect(problemOf({ KUBECONFIG: file })).toContain(`${file}: `);
    expect(problemOf({ KUBECONFIG: file })).toContain(problem);
  });

  test("that are no YAML, or not a map, or hold something else where a list belongs, are told", async () => {
    const file = join(folder, "config");
    await writeFile(file, "a: [");
    expect(problemOf({ KUBECONFIG: file })).toContain(`${file}: `);
    await writeFile(file, "current-context: c\ncontexts: 7\nusers: [null, 3]\n");
    expect(problemOf({ KUBECONFIG: file })).toBe(`${file}: there is no context "c"`);
    await writeFile(file, "7");
    expect(problemOf({ KUBECONFIG: file })).toContain("none of the files that KUBECONFIG lists has a configuration");
  });

  test("of which none exists are told all", () => {
    const files = `${join(folder, "a")}:${join(folder, "b")}`;
    const problem = `none of the files that KUBECONFIG lists has a configuration: ${files}`;
    expect(problemOf({ KUBECONFIG: files })).toBe(problem);
  });
});

describe("without KUBECONFIG", () => {
  test("~/.kube/config is taken, in a Pod too, as kubectl does", async () => {
    const api = await KubernetesApi.start();
    const { env, folder: pod } = await api.pod();
    expect(access({ ...env, HOME: folder }, pod).server).toBe(`https://127.0.0.1:${api.port}`);
    const config = { "current-context": "c", ...context("c", "here", "me"), ...user("me", "t") };
    await kubeconfig(".kube/config", { ...config, ...cluster("here", "https://home.example") });
    expect(access({ ...env, HOME: folder }, pod).server).toBe("https://home.example");
  });

  test("and outside of a Pod, it is said what to set", () => {
    const problem =
      "this is not a Pod (KUBERNETES_SERVICE_HOST is not set); elsewhere, set KUBECONFIG or write ~/.kube/config";
    expect(problemOf({ HOME: folder })).toBe(problem);
    expect(problemOf({})).toBe(problem);
  });
});
