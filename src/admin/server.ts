import type { Socket } from "node:net";
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import { parseAddress, subscriberOf } from "../decide/ip-address.ts";
import { TokenBuckets } from "../upstream/token-bucket.ts";
import {
  type AccessPolicy,
  accessBody,
  decideAccess,
  isLoopbackAddress,
  isReading,
  replicaReportsPath,
} from "./access.ts";
import { allowedMethods } from "./allowed-methods.ts";
import { type AdminView, configBody, type Readiness } from "./api.ts";
import { type Audit, addAudit } from "./audit.ts";
import { ConnectionPlaces } from "./connection-places.ts";
import { addEvents } from "./events.ts";
import { addExplain } from "./explain.ts";
import { addLive } from "./live/live-routes.ts";
import { addOpenApi } from "./openapi.ts";
import type { LoadPage } from "./page/page-files.ts";
import { addPage } from "./page/page-routes.ts";
import { addPlan } from "./plan.ts";
import { sendProblem, sendRequestProblem } from "./problem.ts";
import { metricsFormat } from "./queries.ts";
import { addReplicas } from "./replicas.ts";
import { addRollouts } from "./rollouts.ts";
import { refTo } from "./schemas.ts";

export interface AdminServerOptions {
  /** The IP address that it will listen on. On loopback, only requests whose Host is loopback are accepted. */
  readonly listenHost: string;
  /** The current policy. */
  readonly access: () => AccessPolicy;
  readonly nowMs: () => number;
  readonly monotonicMs: () => number;
  /** Whether file descriptors are scarce, so that a new connection takes the place of another. Default: never. */
  readonly isScarce?: (newest: Socket) => boolean;
  /** Called with internal errors. The client gets only a status of 500. */
  readonly onFailure: (error: Error) => void;
  /** Called with each request to change something, done or refused, before it is answered. */
  readonly audit: Audit;
  /** How often a stream says that it is still there. Default: every 15 s. */
  readonly heartbeatMs?: number;
  /** The dashboard's files. Default: a page that says that there are none. */
  readonly page?: LoadPage;
}

const readinessTexts: Readonly<Record<Readiness, string>> = {
  ready: "ok",
  starting: "not ready: starting, not every listener accepts connections yet",
  "no-worker": "not ready: no worker serves",
  "no-socket-worker": "not ready: the worker that serves the unix sockets is being restarted",
  draining: "not ready: draining",
};

/** Requests by one remote address. Probes and loopback are exempt. */
const callerRate = { requests: 10, perMs: 1_000, burst: 50 };
const maxCallers = 1_000;
const probes: ReadonlySet<string> = new Set(["/livez", "/readyz"]);
const maxConnections = 512;
const requestTimeoutMs = 10_000;
const idleTimeoutMs = 30_000;

/** Creates the admin server, not yet listening. */
export function createAdminServer(view: AdminView, options: AdminServerOptions): FastifyInstance {
  const server = Fastify({
    // Changes are small, and slow requests must not hold connections.
    bodyLimit: 4096,
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false, meta: false, validateSchema: false } },
    // Open requests must not delay the exit of the process.
    forceCloseConnections: true,
    requestTimeout: requestTimeoutMs,
    // Without bytes in either direction, as of a client that does not read.
    connectionTimeout: idleTimeoutMs,
    // By default Node enforces the time limits of requests every 30 s only.
    http: { headersTimeout: requestTimeoutMs, connectionsCheckingInterval: 1_000 },
    // Idle connections must leave room for probes.
    keepAliveTimeout: 15_000,
    routerOptions: { ignoreTrailingSlash: true },
    frameworkErrors: (_error, _request, reply) => {
      setCommonHeaders(reply);
      return sendProblem(reply, 400, "bad-request", "The path is malformed.");
    },
  });
  // Of accept(2), out of descriptors. An error of listen(2) still reaches `listen`.
  server.server.on("error", () => {});
  new ConnectionPlaces(server.server, maxConnections, options.isScarce ?? (() => false));
  // Indented, for people with curl.
  server.setReplySerializer((payload) => `${JSON.stringify(payload, null, 2)}\n`);
  // A browser sends text/plain to other sites without asking them first.
  server.removeContentTypeParser("text/plain");
  addAudit(server, options.audit);
  guard(server, options);
  addOpenApi(server);
  addHealth(server, view);
  addApi(server, view);
  addExplain(server, view);
  addRollouts(server, view.rollouts);
  addReplicas(server, view.replicas);
  const { access, nowMs, heartbeatMs, page, onFailure } = options;
  const mayRead = (request: FastifyRequest) => mayStillRead(request, options);
  addEvents(server, view.rollouts, { mayRead, heartbeatMs });
  const accessOf = ({ caller }: FastifyRequest) => accessBody(caller, access());
  addLive(server, view, { accessOf, mayRead, heartbeatMs, nowMs });
  addPage(server, { load: page, onFailure });
  addPlan(server, view.planner);
  return server;
}

/** The key of the rate limit. Addresses of one IPv6 network count as one caller. */
function callerOf(remoteAddress: string): string {
  const address = parseAddress(remoteAddress.replace(/%.*$/, ""));
  return address === undefined ? remoteAddress : subscriberOf(address);
}

/** Rate limit, access and errors, for all routes. */
function guard(server: FastifyInstance, { listenHost, access, monotonicMs, onFailure }: AdminServerOptions): void {
  const callers = new TokenBuckets(callerRate, maxCallers);
  const allowed = allowedMethods(server);
  server.addHook("onRequest", async (request, reply) => {
    // The connection was closed, and this request came in the same read.
    if (request.socket.destroyed) {
      reply.hijack();
      return;
    }
    setCommonHeaders(reply);
    const { method, headers } = request;
    const remoteAddress = request.socket.remoteAddress ?? "";
    const path = pathOf(request.url);
    const question = { method, path: routePathOf(request), headers, remoteAddress };
    const decision = decideAccess(question, access(), listenHost);
    // Replicas on one node, or in one network, count as one caller.
    const isReplica = question.path === replicaReportsPath && decision.kind === "granted";
    if (
      !isReplica &&
      !probes.has(path) &&
      !isLoopbackAddress(remoteAddress) &&
      callers.take(callerOf(remoteAddress), monotonicMs()) > 0
    ) {
      reply.header("retry-after", "1");
      return sendProblem(reply, 429, "too-many-requests", "Too many requests from this address.");
    }
    if (decision.kind === "granted") request.caller = decision.caller;
    if (decision.kind === "refused") {
      if (decision.status === 401) reply.header("www-authenticate", 'Bearer realm="perch admin"');
      return sendProblem(reply, decision.status, decision.code, decision.message);
    }
    if (request.is404 && !isReading(request)) {
      const methods = allowed(path).join(", ");
      reply.header("allow", methods);
      return sendProblem(reply, 405, "method-not-allowed", `${request.method} is not possible here: ${methods} only.`);
    }
  });
  server.setNotFoundHandler((_request, reply) =>
    sendProblem(reply, 404, "not-found", "No such path; see / for a list."),
  );
  server.setErrorHandler<Error & { statusCode?: number }>((error, _request, reply) => {
    const { statusCode = 500 } = error;
    if (statusCode < 500) return sendRequestProblem(reply, statusCode, error);
    onFailure(error);
    return sendProblem(reply, 500, "internal-error", "Internal error; see the log.");
  });
}

function mayStillRead(request: FastifyRequest, options: AdminServerOptions): boolean {
  const { method, headers, socket } = request;
  const question = { method, path: routePathOf(request), headers, remoteAddress: socket.remoteAddress };
  return decideAccess(question, options.access(), options.listenHost).kind === "granted";
}

function addHealth(server: FastifyInstance, view: AdminView): void {
  const plain = { type: "text/plain" };
  const metrics = { schema: { summary: "Metrics: text format of Prometheus, or OpenMetrics", answer: plain } };
  server.get("/metrics", metrics, async (request, reply) => {
    const { contentType, body } = await view.metrics(metricsFormat(request.headers.accept));
    return reply.type(contentType).send(body);
  });
  // Independent of upstreams: restarting Perch would not repair them.
  server.get("/livez", { schema: { summary: "200 while the process runs", answer: plain } }, (_request, reply) =>
    sendText(reply, 200, "ok"),
  );
  const readyz = {
    summary: "Whether it serves",
    answer: { ...plain, alsoWith: { 503: "not ready: the text says why" } },
  };
  server.get("/readyz", { schema: readyz }, (_request, reply) => {
    const readiness = view.readiness();
    return sendText(reply, readiness === "ready" ? 200 : 503, readinessTexts[readiness]);
  });
}

function addApi(server: FastifyInstance, view: AdminView): void {
  const of = (summary: string, name: Parameters<typeof refTo>[0]) => {
    return { schema: { summary, answer: { schema: refTo(name) } } };
  };
  server.get("/api/config", of("The active configuration", "Config"), () => configBody(view.config()));
  server.get("/api/releases", of("Shares of each version", "Releases"), async () => ({
    releases: await view.releases(),
  }));
  server.get("/api/endpoints", of("The health of each endpoint", "Endpoints"), async () => ({
    endpoints: await view.endpoints(),
    kubernetesServices: view.kubernetesServices(),
  }));
}

/** As the router has understood it, which also decodes what is percent-encoded. */
function routePathOf({ is404, routeOptions, url }: FastifyRequest): string {
  return (is404 ? undefined : routeOptions.url) ?? pathOf(url);
}

/** Without query and trailing slash. */
function pathOf(url: string): string {
  const path = url.replace(/[?#].*$/s, "");
  return path.length > 1 ? path.replace(/\/$/, "") : path;
}

/** No scripts, framing, caching, sniffing or referrers. */
const commonHeaders = Object.freeze({
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
});

function setCommonHeaders(reply: FastifyReply): void {
  reply.headers(commonHeaders);
}

function sendText(reply: FastifyReply, status: number, text: string): FastifyReply {
  return reply.code(status).type("text/plain; charset=utf-8").send(`${text}\n`);
}
