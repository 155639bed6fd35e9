import { readFileSync } from "node:fs";
import { delimiter, dirname, resolve } from "node:path";
import { parse } from "yaml";
import { type ApiAccess, apiDispatcher, NoApiAccess, RenewedToken } from "./api-access.ts";

/**
 * The access that the current context of kubeconfig files describes: for trying Perch outside of a cluster. The files are
 * merged as kubectl does: for each name, and for the current context, the first file that has it wins; paths are relative
 * to the file that has them; files that do not exist are skipped. Tokens and client certificates are supported; plugins
 * (`exec`, `auth-provider`) are not, as they start programs.
 *
 * @returns undefined if there is no such file, or nothing in them.
 * @throws NoApiAccess if a file cannot be read, or what the current context needs is not there.
 * @see https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/
 */
export function kubeconfigAccess(files: readonly string[], monotonicMs: () => number): ApiAccess | undefined {
  const read = files.map((file) => readKubeconfig(file)).filter((config) => config !== undefined);
  if (read.every(isEmpty)) return undefined;
  const fail = (what: string): never => {
    throw new NoApiAccess(`${read.map(({ file }) => file).join(delimiter)}: ${what}`);
  };
  const current = read.map((config) => config.currentContext).find((name) => name !== "");
  if (current === undefined) return fail("current-context is not set; choose one by kubectl config use-context NAME");
  const context = first(read, "contexts", current) ?? fail(`there is no context "${current}"`);
  const { cluster: clusterName = "", user: userName = "" } = context.value;
  const cluster =
    first(read, "clusters", clusterName) ?? fail(`there is no cluster "${clusterName}", which ${current} names`);
  const user = userName === "" ? undefined : first(read, "users", userName);
  if (user === undefined && userName !== "") fail(`there is no user "${userName}", which ${current} names`);
  // As kubectl has it.
  const { namespace = "default" } = context.value;
  return accessOf(cluster, user ?? { file: cluster.file, value: {} }, namespace, monotonicMs);
}

/** What is wrong in a file must not be told with the tokens around it. */
const withoutExcerpts = { prettyErrors: false } as const;

/** An entry, and the file that has it. */
interface Entry<T> {
  readonly file: string;
  readonly value: T;
}

function accessOf(cluster: Entry<Cluster>, user: Entry<User>, namespace: string, monotonicMs: () => number): ApiAccess {
  if (user.value.exec !== undefined || user.value["auth-provider"] !== undefined) {
    throw new NoApiAccess(
      `${user.file}: the user has credentials of a plugin; use a token, as of kubectl create token`,
    );
  }
  const { server } = cluster.value;
  if (!server) throw new NoApiAccess(`${cluster.file}: the cluster has no server`);
  const { token, tokenFile } = user.value;
  const renewed =
    tokenFile === undefined
      ? undefined
      : reading(user.file, () => new RenewedToken(pathIn(user, tokenFile), monotonicMs));
  const dispatcher = apiDispatcher({
    ca: contentsIn(cluster, "certificate-authority"),
    cert: contentsIn(user, "client-certificate"),
    key: contentsIn(user, "client-key"),
    servername: cluster.value["tls-server-name"],
    rejectUnauthorized: cluster.value["insecure-skip-tls-verify"] !== true,
  });
  return {
    server: server.replace(/\/+$/, ""),
    dispatcher,
    namespace,
    authorization() {
      const current = renewed?.current() ?? token;
      return current === undefined ? undefined : `Bearer ${current}`;
    },
    refused: () => renewed?.expire(),
    close: () => dispatcher.destroy(),
  };
}

interface Kubeconfig {
  readonly file: string;
  /** Empty: not set. */
  readonly currentContext: string;
  readonly contexts: readonly Named<Context>[];
  readonly clusters: readonly Named<Cluster>[];
  readonly users: readonly Named<User>[];
}

interface Named<T> {
  readonly name: string;
  readonly value: T;
}

interface Context {
  readonly cluster?: string;
  readonly user?: string;
  readonly namespace?: string;
}

interface Cluster {
  readonly server?: string;
  readonly "certificate-authority"?: string;
  readonly "certificate-authority-data"?: string;
  readonly "tls-server-name"?: string;
  readonly "insecure-skip-tls-verify"?: boolean;
}

interface User {
  readonly token?: string;
  readonly tokenFile?: string;
  readonly "client-certificate"?: string;
  readonly "client-certificate-data"?: string;
  readonly "client-key"?: string;
  readonly "client-key-data"?: string;
  readonly exec?: unknown;
  readonly "auth-provider"?: unknown;
}

type Entries = { readonly contexts: Context; readonly clusters: Cluster; readonly users: User };

/** Of the first file that has an entry of this name. */
function first<K extends keyof Entries>(
  configs: readonly Kubeconfig[],
  kind: K,
  name: string,
): Entry<Entries[K]> | undefined {
  for (const config of configs) {
    const found = (config[kind] as readonly Named<Entries[K]>[]).find((entry) => entry.name === name);
    if (found !== undefined) return { file: config.file, value: found.value };
  }
  return undefined;
}

function isEmpty({ currentContext, contexts, clusters, users }: Kubeconfig): boolean {
  return currentContext === "" && contexts.length + clusters.length + users.length === 0;
}

/** Undefined if the file does not exist. */
function readKubeconfig(file: string): Kubeconfig | undefined {
  const config = reading(file, () => {
    const text = readIfThere(file);
    return text === undefined ? undefined : ((parse(text, withoutExcerpts) ?? {}) as Readonly<Record<string, unknown>>);
  });
  if (config === undefined) return undefined;
  const current = config["current-context"];
  return {
    file,
    currentContext: typeof current === "string" ? current : "",
    contexts: entriesIn<Context>(config["contexts"], "context"),
    clusters: entriesIn<Cluster>(config["clusters"], "cluster"),
    users: entriesIn<User>(config["users"], "user"),
  };
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}

function entriesIn<T extends object>(list: unknown, key: string): readonly Named<T>[] {
  if (!Array.isArray(list)) return [];
  return list.flatMap((entry: Readonly<Record<string, unknown>> | null) => {
    const name = entry?.["name"];
    return typeof name === "string" ? [{ name, value: (entry?.[key] ?? {}) as T }] : [];
  });
}

function contentsIn<K extends string>(
  { file, value }: Entry<{ readonly [N in K | `${K}-data`]?: string }>,
  key: K,
): Buffer | undefined {
  const data = value[`${key}-data`];
  if (data !== undefined) return Buffer.from(data, "base64");
  const path = value[key];
  return path === undefined ? undefined : reading(file, () => readFileSync(pathIn({ file }, path)));
}

function pathIn({ file }: Pick<Entry<unknown>, "file">, path: string): string {
  return resolve(dirname(file), path);
}

/** What goes wrong is told as of this file. */
function reading<T>(file: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new NoApiAccess(`${file}: ${error instanceof Error ? error.message : String(error)}`);
  }
}
