import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { Agent } from "undici";
import { parse } from "yaml";
import { type ApiAccess, connectTimeoutMs, NoApiAccess, RenewedToken } from "./api-access.ts";

/**
 * The access that the current context of a kubeconfig file describes: for trying Perch outside of a cluster. Tokens and
 * client certificates are supported; plugins (`exec`, `auth-provider`) are not, as they start programs.
 *
 * @throws NoApiAccess if the file cannot be read, or names something that it does not have.
 * @see https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/
 */
export function kubeconfigAccess(file: string, monotonicMs: () => number): ApiAccess {
  const config = readKubeconfig(file);
  const name = config["current-context"] ?? "";
  const fail = (what: string): never => {
    throw new NoApiAccess(`${file}: ${what}`);
  };
  const context = config.contexts?.find((one) => one.name === name)?.context ?? fail(`has no context "${name}"`);
  const cluster =
    config.clusters?.find((one) => one.name === context.cluster)?.cluster ??
    fail(`has no cluster "${context.cluster ?? ""}"`);
  const user = config.users?.find((one) => one.name === context.user)?.user ?? {};
  if (user.exec !== undefined || user["auth-provider"] !== undefined) {
    fail("its user has credentials of a plugin; use a token, as of kubectl create token");
  }
  const server = cluster.server ?? fail("its cluster has no server");
  const contents = (data: string | undefined, path: string | undefined): Buffer | undefined => {
    if (data !== undefined) return Buffer.from(data, "base64");
    return path === undefined ? undefined : readNamed(resolve(dirname(file), path), file);
  };
  const { token, tokenFile } = user;
  const renewed =
    tokenFile === undefined ? undefined : new RenewedToken(resolve(dirname(file), tokenFile), monotonicMs);
  const dispatcher = new Agent({
    connect: {
      ca: contents(cluster["certificate-authority-data"], cluster["certificate-authority"]),
      cert: contents(user["client-certificate-data"], user["client-certificate"]),
      key: contents(user["client-key-data"], user["client-key"]),
      servername: cluster["tls-server-name"],
      rejectUnauthorized: cluster["insecure-skip-tls-verify"] !== true,
      timeout: connectTimeoutMs,
    },
  });
  return {
    server: server.replace(/\/+$/, ""),
    dispatcher,
    // As kubectl has it.
    namespace: context.namespace ?? "default",
    authorization() {
      const current = renewed?.current() ?? token;
      return current === undefined ? undefined : `Bearer ${current}`;
    },
    close: () => dispatcher.destroy(),
  };
}

interface Kubeconfig {
  readonly "current-context"?: string;
  readonly contexts?: readonly { readonly name: string; readonly context: Context }[];
  readonly clusters?: readonly { readonly name: string; readonly cluster: Cluster }[];
  readonly users?: readonly { readonly name: string; readonly user: User }[];
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

function readKubeconfig(file: string): Kubeconfig {
  try {
    return (parse(readFileSync(file, "utf8")) ?? {}) as Kubeconfig;
  } catch (error) {
    throw new NoApiAccess(`${file}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function readNamed(path: string, file: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new NoApiAccess(`${file}: ${error instanceof Error ? error.message : String(error)}`);
  }
}
