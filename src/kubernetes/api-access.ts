import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Agent, type buildConnector, type Dispatcher } from "undici";

/** How this process reaches the Kubernetes API, and as whom. */
export interface ApiAccess {
  /** Without a slash at its end. */
  readonly server: string;
  readonly dispatcher: Dispatcher;
  /** Of the Pod, or of the kubeconfig's context; undefined where neither says one. */
  readonly namespace: string | undefined;
  /** The value of `authorization` for the next request; undefined: none. */
  authorization(): string | undefined;
  /** Called when the API has not taken it (401): the next one is read anew. */
  refused(): void;
  close(): Promise<void>;
}

/** There is no way to the API; the message says what to do about it. */
export class NoApiAccess extends Error {
  override readonly name = "NoApiAccess";
}

/** An API server that does not take a connection within this time is tried again. */
const connectTimeoutMs = 5_000;

/** HTTP/1.1 only, which all API servers speak beside HTTP/2: a watch that hangs then holds up no other. */
export function apiDispatcher(tls: buildConnector.BuildOptions): Dispatcher {
  return new Agent({ allowH2: false, connect: { ...tls, timeout: connectTimeoutMs } });
}

/** Whether the kubelet says where the API is, as it does to each Pod. */
export function isInPod(env: Readonly<Record<string, string | undefined>>): boolean {
  return Boolean(env["KUBERNETES_SERVICE_HOST"] && env["KUBERNETES_SERVICE_PORT"]);
}

/** Where the kubelet mounts the token and the CA of a Pod's service account. */
const serviceAccountFolder = "/var/run/secrets/kubernetes.io/serviceaccount";

/**
 * The access of a Pod by its service account, as the kubelet provides it: the address in `KUBERNETES_SERVICE_HOST` and
 * `KUBERNETES_SERVICE_PORT`, the CA and a token in files of `folder`.
 *
 * @throws NoApiAccess outside of a Pod, or in one without a token.
 * @see https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/
 */
export function podAccess(
  env: Readonly<Record<string, string | undefined>>,
  monotonicMs: () => number,
  folder: string = serviceAccountFolder,
): ApiAccess {
  const host = env["KUBERNETES_SERVICE_HOST"];
  const port = env["KUBERNETES_SERVICE_PORT"];
  if (!host || !port) {
    throw new NoApiAccess(
      "this is not a Pod (KUBERNETES_SERVICE_HOST is not set); elsewhere, set KUBECONFIG or write ~/.kube/config",
    );
  }
  let ca: Buffer;
  let token: RenewedToken;
  try {
    ca = readFileSync(join(folder, "ca.crt"));
    token = new RenewedToken(join(folder, "token"), monotonicMs);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new NoApiAccess(`the Pod has no token (${why}): set automountServiceAccountToken: true`);
  }
  const dispatcher = apiDispatcher({ ca });
  return {
    server: `https://${host.includes(":") ? `[${host}]` : host}:${port}`,
    dispatcher,
    namespace: namespaceIn(folder),
    authorization: () => `Bearer ${token.current()}`,
    refused: () => token.expire(),
    close: () => dispatcher.destroy(),
  };
}

function namespaceIn(folder: string): string | undefined {
  try {
    return readFileSync(join(folder, "namespace"), "utf8").trim() || undefined;
  } catch {
    return undefined;
  }
}

/** The kubelet renews a token when a fifth of its life is left, so a minute is early enough. */
const readAgainAfterMs = 60_000;

/** A token in a file that is replaced before it expires: read again each minute, and after a refusal. */
export class RenewedToken {
  readonly #file: string;
  readonly #monotonicMs: () => number;
  #token: string;
  #readAtMs: number;

  /** Throws as `fs` does. */
  constructor(file: string, monotonicMs: () => number) {
    this.#file = file;
    this.#monotonicMs = monotonicMs;
    this.#readAtMs = monotonicMs();
    this.#token = readFileSync(file, "utf8").trim();
  }

  expire(): void {
    this.#readAtMs = Number.NEGATIVE_INFINITY;
  }

  /** While the file cannot be read, the token at hand: it may still be valid. */
  current(): string {
    const nowMs = this.#monotonicMs();
    if (nowMs - this.#readAtMs < readAgainAfterMs) return this.#token;
    this.#readAtMs = nowMs;
    try {
      this.#token = readFileSync(this.#file, "utf8").trim() || this.#token;
    } catch {}
    return this.#token;
  }
}
