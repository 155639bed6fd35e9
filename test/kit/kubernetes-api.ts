import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { testCertificate, testKey } from "./certificate.ts";
import { freeAfterTest } from "./freed.ts";

export interface StoredObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace: string; readonly resourceVersion: string };
  readonly data?: Readonly<Record<string, string>>;
}

interface Change {
  readonly version: number;
  readonly collection: string;
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly object: StoredObject;
}

interface Failure {
  readonly status: number;
  readonly reason: string;
  readonly headers?: Readonly<Record<string, string>>;
}

interface Watcher {
  readonly collection: string;
  readonly name: string | undefined;
  readonly response: ServerResponse;
}

const token = "token-of-the-service-account";

/**
 * An API server as Perch meets it: TLS, a bearer token, lists in pages, watches from a resourceVersion with bookmarks,
 * 410 for versions that it has forgotten, and `Status` objects for refusals, in the shapes of Kubernetes' OpenAPI
 * documents. What goes wrong with a real one is switched on by the test.
 */
export class KubernetesApi {
  readonly port: number;
  readonly requests: string[] = [];
  readonly #server: Server;
  readonly #objects = new Map<string, Map<string, StoredObject>>();
  readonly #watchers = new Set<Watcher>();
  #changes: Change[] = [];
  #forgottenUpTo = 0;
  #version = 100;
  #failures: Failure[] = [];
  #pageSize = Number.POSITIVE_INFINITY;
  #isStuck = false;
  #token = token;
  #answers: ((response: ServerResponse) => void)[] = [];
  #expiring = 0;

  private constructor(server: Server) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
  }

  static async start(): Promise<KubernetesApi> {
    let api: KubernetesApi | undefined;
    const server = createServer(
      // A real one prefers HTTP/2, which this one does not speak.
      { cert: testCertificate, key: testKey, ALPNProtocols: ["h2", "http/1.1"] },
      (request, response) => api?.answer(request, response),
    );
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    api = new KubernetesApi(server);
    freeAfterTest(async () => api.away());
    return api;
  }

  /** Creates or replaces a ConfigMap. */
  setConfigMap(namespace: string, name: string, data: Readonly<Record<string, string>>): string {
    return this.set("/api/v1", "configmaps", "v1", "ConfigMap", namespace, name, data);
  }

  /** Creates or replaces a Secret. */
  setSecret(namespace: string, name: string, data: Readonly<Record<string, string | Buffer>>): string {
    const encoded = Object.entries(data).map(([key, value]) => [key, Buffer.from(value as string).toString("base64")]);
    return this.set("/api/v1", "secrets", "v1", "Secret", namespace, name, Object.fromEntries(encoded));
  }

  deleteConfigMap(namespace: string, name: string): void {
    const collection = `/api/v1/namespaces/${namespace}/configmaps`;
    const object = this.#objects.get(collection)?.get(name);
    if (object === undefined) throw new Error(`no ConfigMap ${namespace}/${name}`);
    this.#objects.get(collection)?.delete(name);
    this.#change({ collection, type: "DELETED", object });
  }

  private set(
    root: string,
    plural: string,
    apiVersion: string,
    kind: string,
    namespace: string,
    name: string,
    data: Readonly<Record<string, string>>,
  ): string {
    const collection = `${root}/namespaces/${namespace}/${plural}`;
    const objects = this.#objects.get(collection) ?? new Map<string, StoredObject>();
    this.#objects.set(collection, objects);
    const type = objects.has(name) ? "MODIFIED" : "ADDED";
    const resourceVersion = String(this.#version + 1);
    const object = { apiVersion, kind, metadata: { name, namespace, resourceVersion }, data };
    objects.set(name, object);
    this.#change({ collection, type, object });
    return resourceVersion;
  }

  #change(change: Omit<Change, "version">): void {
    const version = ++this.#version;
    const object = { ...change.object, metadata: { ...change.object.metadata, resourceVersion: String(version) } };
    const numbered = { ...change, object, version };
    this.#changes.push(numbered);
    if (!this.#isStuck) for (const watcher of this.#watchers) tell(watcher, numbered);
  }

  /** Answers the next requests with these. */
  refuse(...failures: Failure[]): void {
    this.#failures.push(...failures);
  }

  pages(size: number): void {
    this.#pageSize = size;
  }

  /** Sends each watch the present version, as a real server does about once a minute. */
  sendBookmarks(): void {
    for (const { response } of this.#watchers) {
      const object = { kind: "ConfigMap", apiVersion: "v1", metadata: { resourceVersion: String(this.#version) } };
      response.write(`${JSON.stringify({ type: "BOOKMARK", object })}\n`);
    }
  }

  /** Forgets all changes so far: a watch from before gets 410. */
  compact(): void {
    this.#changes = [];
    this.#forgottenUpTo = this.#version;
  }

  /** Ends all watches, in the middle of a line if `broken`. */
  endWatches(how: "ended" | "broken" = "ended"): void {
    for (const { response } of this.#watchers) {
      if (how === "ended") response.end();
      else response.write('{"type":"MODI', () => response.destroy());
    }
    this.#watchers.clear();
  }

  /** Tells the watches of an error inside of the stream. */
  sendError(code: number, message: string): void {
    for (const { response } of this.#watchers) {
      const object = { kind: "Status", apiVersion: "v1", status: "Failure", code, message };
      response.end(`${JSON.stringify({ type: "ERROR", object })}\n`);
    }
    this.#watchers.clear();
  }

  /** Watches stay open and hear of nothing. */
  stick(): void {
    this.#isStuck = true;
  }

  get watches(): number {
    return this.#watchers.size;
  }

  /** Stops listening, and cuts what is open. */
  away(): void {
    this.#server.close();
    this.#server.closeAllConnections();
    this.#watchers.clear();
  }

  /** Listens again, with what it had. */
  async back(): Promise<void> {
    this.#server.listen(this.port, "127.0.0.1");
    await once(this.#server, "listening");
  }

  /** A folder as the kubelet mounts it for a service account, and the variables of the Pod. */
  async pod(): Promise<{ folder: string; env: Record<string, string> }> {
    const folder = await this.#folder({ token, "ca.crt": testCertificate });
    return { folder, env: { KUBERNETES_SERVICE_HOST: "127.0.0.1", KUBERNETES_SERVICE_PORT: String(this.port) } };
  }

  /** The path of a kubeconfig file for this server. */
  async kubeconfig(): Promise<string> {
    const cluster = {
      server: `https://127.0.0.1:${this.port}`,
      "certificate-authority-data": Buffer.from(testCertificate).toString("base64"),
    };
    const config = {
      apiVersion: "v1",
      kind: "Config",
      "current-context": "test",
      contexts: [{ name: "test", context: { cluster: "test", user: "test" } }],
      clusters: [{ name: "test", cluster }],
      users: [{ name: "test", user: { token } }],
    };
    return join(await this.#folder({ kubeconfig: JSON.stringify(config) }), "kubeconfig");
  }

  deleteSecret(namespace: string, name: string): void {
    const collection = `/api/v1/namespaces/${namespace}/secrets`;
    const object = this.#objects.get(collection)?.get(name);
    if (object === undefined) throw new Error(`no Secret ${namespace}/${name}`);
    this.#objects.get(collection)?.delete(name);
    this.#change({ collection, type: "DELETED", object });
  }

  /** Watches from now on hear of everything again; those that are open were never told. */
  unstick(): void {
    this.#isStuck = false;
  }

  /** From now on only this token is accepted. */
  acceptToken(renewed: string): void {
    this.#token = renewed;
  }

  /** Answers the next request by this, such as a body that is slow or broken. */
  answerOnce(by: (response: ServerResponse) => void): void {
    this.#answers.push(by);
  }

  /** So many lists expire before their second page. */
  expireContinuations(lists: number): void {
    this.#expiring = lists;
  }

  async #folder(files: Readonly<Record<string, string>>): Promise<string> {
    const folder = await mkdtemp(join(tmpdir(), "perch-kubernetes-"));
    freeAfterTest(() => rm(folder, { recursive: true }));
    for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
    return folder;
  }

  private answer(request: IncomingMessage, response: ServerResponse): void {
    this.requests.push(request.url ?? "");
    const url = new URL(request.url ?? "", "https://api");
    const failure = this.#failures.shift();
    if (failure !== undefined) {
      refuse(response, failure);
      return;
    }
    const answer = this.#answers.shift();
    if (answer !== undefined) {
      answer(response);
      return;
    }
    if (request.headers.authorization !== `Bearer ${this.#token}`) {
      refuse(response, { status: 401, reason: "Unauthorized" });
      return;
    }
    if (url.searchParams.get("watch") === "true") this.#answerWatch(url, response);
    else this.#answerList(url, response);
  }

  #answerList({ pathname, searchParams }: URL, response: ServerResponse): void {
    if (searchParams.has("continue") && this.#expiring > 0) {
      this.#expiring--;
      refuse(response, { status: 410, reason: "The provided continue parameter is too old" });
      return;
    }
    const name = selectedName(searchParams);
    const all = [...(this.#objects.get(pathname)?.values() ?? [])];
    const selected = all.filter(({ metadata }) => name === undefined || metadata.name === name);
    const from = Number(searchParams.get("continue") ?? 0);
    const end = from + Math.min(this.#pageSize, Number(searchParams.get("limit") ?? Number.POSITIVE_INFINITY));
    const metadata = {
      resourceVersion: String(this.#version),
      ...(end < selected.length ? { continue: String(end) } : {}),
    };
    const items = selected.slice(from, end);
    send(response, 200, { kind: "List", apiVersion: "v1", metadata, items });
  }

  #answerWatch({ pathname, searchParams }: URL, response: ServerResponse): void {
    const from = Number(searchParams.get("resourceVersion"));
    if (from < this.#forgottenUpTo) {
      const reason = `too old resource version: ${from} (${this.#forgottenUpTo})`;
      refuse(response, { status: 410, reason });
      return;
    }
    const watcher = { collection: pathname, name: selectedName(searchParams), response };
    response.writeHead(200, { "content-type": "application/json" }).flushHeaders();
    this.#watchers.add(watcher);
    response.on("close", () => this.#watchers.delete(watcher));
    if (!this.#isStuck) for (const change of this.#changes) if (change.version > from) tell(watcher, change);
  }
}

function tell({ collection, name, response }: Watcher, change: Change): void {
  if (change.collection !== collection) return;
  if (name !== undefined && change.object.metadata.name !== name) return;
  response.write(`${JSON.stringify({ type: change.type, object: change.object })}\n`);
}

function selectedName(query: URLSearchParams): string | undefined {
  return /^metadata\.name=(.+)$/.exec(query.get("fieldSelector") ?? "")?.[1];
}

function refuse(response: ServerResponse, { status, reason, headers = {} }: Failure): void {
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  send(response, status, { kind: "Status", apiVersion: "v1", status: "Failure", code: status, message: reason });
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}
