import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { testCertificate, testKey } from "./certificate.ts";
import { freeAfterTest } from "./freed.ts";
import {
  type Change,
  type DraftObject,
  isSelected,
  KubernetesObjects,
  type Place,
  placeOf,
  Refused,
  readPlace,
  type StoredObject,
} from "./kubernetes-objects.ts";

interface Failure {
  readonly status: number;
  readonly reason: string;
  readonly headers?: Readonly<Record<string, string>>;
}

interface Watcher {
  readonly place: Place;
  readonly query: URLSearchParams;
  /** Whose token the watch was opened with. */
  readonly account: string;
  readonly response: ServerResponse;
}

/** A request that changed something, or was to. */
export interface Write {
  /** Whose token it came with. */
  readonly account: string;
  readonly method: string;
  readonly path: string;
  readonly body: DraftObject;
  /** Of the answer. */
  readonly status: number;
}

const defaultAccount = "default";
const tokenPrefix = "token-of-the-service-account-";

/**
 * An API server as Perch meets it: TLS, bearer tokens, lists in pages, watches from a resourceVersion with bookmarks,
 * 410 for versions that it has forgotten, writes that conflict by resourceVersion (409), statuses as a subresource, and
 * `Status` objects for refusals, in the shapes of Kubernetes' OpenAPI documents. What goes wrong with a real one is
 * switched on by the test.
 */
export class KubernetesApi {
  readonly port: number;
  readonly requests: string[] = [];
  readonly writes: Write[] = [];
  readonly #server: Server;
  readonly #watchers = new Set<Watcher>();
  readonly #objects = new KubernetesObjects((change) => {
    if (!this.#isStuck) for (const watcher of this.#watchers) tell(watcher, change);
  });
  /** Why requests for a kind are refused, by the end of its path. */
  readonly #unavailable = new Map<string, Refused>();
  /** Accounts whose requests are cut off. */
  readonly #cutOff = new Set<string>();
  #forgottenUpTo = 0;
  #delayMs = 0;
  #answerDelayMs = 0;
  #losing = 0;
  #cutsOffAfter: RegExp | undefined;
  #failures: Failure[] = [];
  #pageSize = Number.POSITIVE_INFINITY;
  #isStuck = false;
  /** The only one that is accepted; undefined: that of any account. */
  #token: string | undefined;
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

  /** Creates or replaces an object of any kind; returns its resourceVersion. */
  put(draft: DraftObject): string {
    const place = placeOf(draft);
    const found = this.#objects.find(place);
    if (found === undefined) return this.#objects.create(place, draft).metadata.resourceVersion;
    const { resourceVersion } = found.metadata;
    return this.#objects.replace(place, { ...draft, metadata: { ...draft.metadata, resourceVersion } }).metadata
      .resourceVersion;
  }

  /** Removes an object of any kind, which must be there. */
  remove(named: Pick<DraftObject, "apiVersion" | "kind" | "metadata">): void {
    this.#objects.delete(placeOf(named));
  }

  /** An object as it is now; undefined if it is not there. */
  object(named: Pick<DraftObject, "apiVersion" | "kind" | "metadata">): StoredObject | undefined {
    return this.#objects.find(placeOf(named));
  }

  /** Creates or replaces a ConfigMap. */
  setConfigMap(namespace: string, name: string, data: Readonly<Record<string, string>>): string {
    return this.put({ apiVersion: "v1", kind: "ConfigMap", metadata: { namespace, name }, data });
  }

  /** Creates or replaces a Secret. */
  setSecret(namespace: string, name: string, data: Readonly<Record<string, string | Buffer>>): string {
    const encoded = Object.entries(data).map(([key, value]) => [key, Buffer.from(value as string).toString("base64")]);
    return this.put({
      apiVersion: "v1",
      kind: "Secret",
      metadata: { namespace, name },
      data: Object.fromEntries(encoded),
    });
  }

  deleteConfigMap(namespace: string, name: string): void {
    this.remove({ apiVersion: "v1", kind: "ConfigMap", metadata: { namespace, name } });
  }

  /** Answers the next requests with these. */
  refuse(...failures: Failure[]): void {
    this.#failures.push(...failures);
  }

  /** Has no such kind, as `grpcroutes`: its definition is not installed. */
  uninstall(plural: string): void {
    this.#unavailable.set(plural, new Refused(404, "NotFound", "the server could not find the requested resource"));
  }

  /** Lets nobody read a kind. */
  forbid(plural: string): void {
    this.#unavailable.set(plural, new Refused(403, "Forbidden", `${plural} is forbidden: User "perch" cannot list it`));
  }

  /** Ends what `forbid` or `uninstall` began. */
  allow(plural: string): void {
    this.#unavailable.delete(plural);
  }

  pages(size: number): void {
    this.#pageSize = size;
  }

  /** Sends each watch the present version, as a real server does about once a minute. */
  sendBookmarks(): void {
    for (const { response } of this.#watchers) {
      const object = {
        kind: "ConfigMap",
        apiVersion: "v1",
        metadata: { resourceVersion: String(this.#objects.version) },
      };
      response.write(`${JSON.stringify({ type: "BOOKMARK", object })}\n`);
    }
  }

  /** Forgets all changes so far: a watch from before gets 410. */
  compact(): void {
    this.#objects.changes = [];
    this.#forgottenUpTo = this.#objects.version;
  }

  /** Returns what restores the store of the API as it is now: versions go back, and watches have to begin anew. */
  backup(): () => void {
    const restore = this.#objects.backup();
    return () => {
      restore();
      this.#forgottenUpTo = this.#objects.version;
      this.sendError(410, "the store was restored");
    };
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

  /** Every answer comes this much later. */
  delay(ms: number): void {
    this.#delayMs = ms;
  }

  /** So many writes are done, and their answers are lost. */
  loseAnswers(writes: number): void {
    this.#losing = writes;
  }

  /** The next write to such a path is done, its answer is lost, and whoever wrote is cut off. */
  cutOffAfterWrite(path: RegExp): void {
    this.#cutsOffAfter = path;
  }

  /** Every write is done at once, and its answer comes this much later. */
  delayAnswers(ms: number): void {
    this.#answerDelayMs = ms;
  }

  /** The requests and watches of an account are cut, as by a network that has lost it. */
  cutOff(account: string): void {
    this.#cutOff.add(account);
    for (const watcher of this.#watchers) if (watcher.account === account) watcher.response.destroy();
  }

  letBack(account: string): void {
    this.#cutOff.delete(account);
  }

  /** A folder as the kubelet mounts it for a service account, and the variables of the Pod. */
  async pod(account: string = defaultAccount): Promise<{ folder: string; env: Record<string, string> }> {
    const folder = await this.#folder({ token: tokenPrefix + account, "ca.crt": testCertificate });
    return { folder, env: { KUBERNETES_SERVICE_HOST: "127.0.0.1", KUBERNETES_SERVICE_PORT: String(this.port) } };
  }

  /** The path of a kubeconfig file for this server. */
  async kubeconfig(account: string = defaultAccount): Promise<string> {
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
      users: [{ name: "test", user: { token: tokenPrefix + account } }],
    };
    return join(await this.#folder({ kubeconfig: JSON.stringify(config) }), "kubeconfig");
  }

  deleteSecret(namespace: string, name: string): void {
    this.remove({ apiVersion: "v1", kind: "Secret", metadata: { namespace, name } });
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
    void this.#answer(request, response).catch((error: unknown) => {
      if (!(error instanceof Refused)) throw error;
      refuse(response, error);
    });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = "", url: target = "" } = request;
    this.requests.push(method === "GET" ? target : `${method} ${target}`);
    const account = this.#accountOf(request.headers.authorization ?? "");
    if (account !== undefined && this.#cutOff.has(account)) {
      response.destroy();
      return;
    }
    const body = await textOf(request);
    if (this.#delayMs > 0) await setTimeout(this.#delayMs);
    const url = new URL(target, "https://api");
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
    if (account === undefined) throw new Refused(401, "Unauthorized", "Unauthorized");
    const place = readPlace(url.pathname);
    if (place === undefined) throw new Refused(404, "NotFound", "the server could not find the requested resource");
    const unavailable = this.#unavailable.get(place.resource.replace(/^.*\//, ""));
    if (unavailable !== undefined) throw unavailable;
    if (method !== "GET") this.#answerWrite({ account, method, path: url.pathname }, place, request, body, response);
    else if (url.searchParams.get("watch") === "true") this.#answerWatch(place, account, url.searchParams, response);
    else if (place.name === undefined) this.#answerList(place, url.searchParams, response);
    else send(response, 200, this.#objects.get(place));
  }

  /** Undefined: the token is not accepted. */
  #accountOf(authorization: string): string | undefined {
    if (this.#token !== undefined) return authorization === `Bearer ${this.#token}` ? defaultAccount : undefined;
    return new RegExp(`^Bearer ${tokenPrefix}(.+)$`).exec(authorization)?.[1];
  }

  #answerWrite(
    about: Pick<Write, "account" | "method" | "path">,
    place: Place,
    { headers }: IncomingMessage,
    text: string,
    response: ServerResponse,
  ): void {
    const body = (text === "" ? {} : JSON.parse(text)) as DraftObject;
    const write = () => {
      const { method } = about;
      const isMerge = headers["content-type"] === "application/merge-patch+json";
      if (method === "POST") return this.#objects.create(place, body);
      if (method === "PUT") return this.#objects.replace(place, body);
      if (method === "PATCH" && isMerge) return this.#objects.merge(place, body);
      if (method === "DELETE") return this.#objects.delete(place);
      throw new Refused(415, "UnsupportedMediaType", `${method} of ${headers["content-type"]}`);
    };
    try {
      const object = write();
      const status = about.method === "POST" ? 201 : 200;
      this.writes.push({ ...about, body, status });
      if (this.#cutsOffAfter?.test(about.path)) {
        this.#cutsOffAfter = undefined;
        this.cutOff(about.account);
        response.destroy();
      } else if (this.#losing > 0) {
        this.#losing--;
        response.destroy();
      } else if (this.#answerDelayMs > 0)
        globalThis.setTimeout(() => send(response, status, object), this.#answerDelayMs);
      else send(response, status, object);
    } catch (error) {
      if (error instanceof Refused) this.writes.push({ ...about, body, status: error.status });
      throw error;
    }
  }

  #answerList(place: Place, query: URLSearchParams, response: ServerResponse): void {
    if (query.has("continue") && this.#expiring > 0) {
      this.#expiring--;
      throw new Refused(410, "Expired", "The provided continue parameter is too old");
    }
    const selected = this.#objects.list(place, query);
    const from = Number(query.get("continue") ?? 0);
    const end = from + Math.min(this.#pageSize, Number(query.get("limit") ?? Number.POSITIVE_INFINITY));
    const metadata = {
      resourceVersion: String(this.#objects.version),
      ...(end < selected.length ? { continue: String(end) } : {}),
    };
    // Of kinds of Kubernetes itself the objects in a list do not say their kind.
    const items = selected
      .slice(from, end)
      .map(({ apiVersion, kind, ...rest }) => (apiVersion === "v1" ? rest : { apiVersion, kind, ...rest }));
    send(response, 200, { kind: "List", apiVersion: "v1", metadata, items });
  }

  #answerWatch(place: Place, account: string, query: URLSearchParams, response: ServerResponse): void {
    const from = Number(query.get("resourceVersion"));
    if (from < this.#forgottenUpTo) {
      throw new Refused(410, "Expired", `too old resource version: ${from} (${this.#forgottenUpTo})`);
    }
    const watcher = { place, query, account, response };
    response.writeHead(200, { "content-type": "application/json" }).flushHeaders();
    this.#watchers.add(watcher);
    const timer = globalThis.setTimeout(() => response.end(), Number(query.get("timeoutSeconds") ?? 1_800) * 1_000);
    response.on("close", () => {
      globalThis.clearTimeout(timer);
      this.#watchers.delete(watcher);
    });
    if (!this.#isStuck) for (const change of this.#objects.changes) if (change.version > from) tell(watcher, change);
  }
}

function tell({ place, query, response }: Watcher, { resource, type, object }: Change): void {
  if (resource !== place.resource || !isSelected(object, place.namespace, query)) return;
  response.write(`${JSON.stringify({ type, object })}\n`);
}

async function textOf(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of request.setEncoding("utf8")) text += chunk;
  return text;
}

function refuse(response: ServerResponse, failure: Failure | Refused): void {
  const { status, reason } = failure;
  const headers = failure instanceof Refused ? {} : (failure.headers ?? {});
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  const message = failure instanceof Refused ? failure.message : reason;
  send(response, status, { kind: "Status", apiVersion: "v1", status: "Failure", code: status, reason, message });
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}
