import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import { TokenBuckets } from "../proxy/rate-limit.ts";
import { type AccessPolicy, isLoopbackAddress, isReading, refusalOf } from "./access.ts";
import { type AdminView, configBody, metricsFormat, parseExplainQuery, type Readiness } from "./api.ts";

export interface AdminServerOptions {
  /** The IP address that it will listen on. On loopback only requests that name this machine as itself are answered. */
  readonly listenHost: string;
  /** Who may do what now. */
  readonly access: () => AccessPolicy;
  readonly monotonicMs: () => number;
  /** Told of a failure of our own, which the client learns nothing about but the status. */
  readonly onFailure: (error: Error) => void;
}

const readinessTexts: Readonly<Record<Readiness, string>> = {
  ready: "ok",
  "no-config": "not ready: no configuration is active yet",
  "no-worker": "not ready: no worker serves",
  draining: "not ready: draining",
};

/** Requests of one caller from beyond this machine, whose probes are not counted. */
const callerRate = { requests: 10, perMs: 1_000, burst: 50 };
const maxCallers = 1_000;
const probes: ReadonlySet<string> = new Set(["/livez", "/readyz"]);
const maxConnections = 512;

/** The admin server, built and not yet listening: so far it only reads, so GET and HEAD are all it knows. */
export function createAdminServer(view: AdminView, options: AdminServerOptions): FastifyInstance {
  const server = Fastify({
    // Nothing here takes a body, and a request that trickles in must not hold a connection for long.
    bodyLimit: 1024,
    // A client in the middle of a request must not hold up the end of the process.
    forceCloseConnections: true,
    requestTimeout: 10_000,
    // Beside those who hold theirs there must be room for probes.
    keepAliveTimeout: 15_000,
    routerOptions: { ignoreTrailingSlash: true },
    frameworkErrors: (_error, _request, reply) => {
      setCommonHeaders(reply);
      return sendError(reply, 400, "bad-request", "The path is not valid.");
    },
  });
  server.server.maxConnections = maxConnections;
  // Read by people with curl as often as by programs.
  server.setReplySerializer((payload) => `${JSON.stringify(payload, null, 2)}\n`);
  guard(server, options);
  addHealth(server, view);
  addApi(server, view);
  return server;
}

/** What holds for every request before its own handler, and for every one that fails. */
function guard(server: FastifyInstance, { listenHost, access, monotonicMs, onFailure }: AdminServerOptions): void {
  const callers = new TokenBuckets(callerRate, maxCallers);
  server.addHook("onRequest", async (request, reply) => {
    setCommonHeaders(reply);
    const { method, headers } = request;
    const remoteAddress = request.socket.remoteAddress ?? "";
    const path = pathOf(request.url);
    if (!probes.has(path) && !isLoopbackAddress(remoteAddress) && callers.take(remoteAddress, monotonicMs()) > 0) {
      reply.header("retry-after", "1");
      return sendError(reply, 429, "too-many-requests", "Too many requests from this address.");
    }
    const refusal = refusalOf({ method, path, headers, remoteAddress }, access(), listenHost);
    if (refusal !== undefined) {
      if (refusal.status === 401) reply.header("www-authenticate", 'Bearer realm="perch admin"');
      return sendError(reply, refusal.status, refusal.code, refusal.message);
    }
    if (request.is404 && !isReading(request)) {
      reply.header("allow", "GET, HEAD");
      return sendError(reply, 405, "method-not-allowed", "Nothing is changed here: GET and HEAD.");
    }
  });
  server.setNotFoundHandler((_request, reply) => sendError(reply, 404, "not-found", "There is nothing here; see /."));
  server.setErrorHandler<Error & { statusCode?: number }>((error, _request, reply) => {
    const { statusCode = 500 } = error;
    if (statusCode < 500) return sendError(reply, statusCode, "bad-request", "The request is malformed.");
    onFailure(error);
    return sendError(reply, 500, "internal-error", "The admin server failed to answer; the log says why.");
  });
}

function addHealth(server: FastifyInstance, view: AdminView): void {
  server.get("/", (_request, reply) => reply.type("text/html; charset=utf-8").send(indexPage));
  server.get("/metrics", async (request, reply) => {
    const { contentType, body } = await view.metrics(metricsFormat(request.headers.accept));
    return reply.type(contentType).send(body);
  });
  // Never looks at upstreams: restarting Perch would not heal them.
  server.get("/livez", (_request, reply) => sendText(reply, 200, "ok"));
  server.get("/readyz", (_request, reply) => {
    const readiness = view.readiness();
    return sendText(reply, readiness === "ready" ? 200 : 503, readinessTexts[readiness]);
  });
}

function addApi(server: FastifyInstance, view: AdminView): void {
  server.get("/api/config", () => configBody(view.config()));
  server.get("/api/releases", async () => ({ releases: await view.releases() }));
  server.get("/api/endpoints", async () => ({ endpoints: await view.endpoints() }));
  server.get("/api/explain", (request, reply) => explain(view, request, reply));
}

async function explain(view: AdminView, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  if (view.readiness() === "no-config") return sendError(reply, 503, "no-config", readinessTexts["no-config"]);
  const parsed = parseExplainQuery(new URLSearchParams(/\?(.*)/.exec(request.url)?.[1]));
  if (parsed.kind === "problems") {
    return sendError(reply, 400, "bad-query", "The query can not be explained.", parsed.problems);
  }
  const answer = await view.explain(parsed.query);
  if (answer.kind === "refused") return sendError(reply, 400, "bad-query", answer.message);
  return reply.send(answer.explanation);
}

/** As the router sees it: a trailing slash changes nothing. */
function pathOf(url: string): string {
  const path = url.replace(/[?#].*$/s, "");
  return path.length > 1 ? path.replace(/\/$/, "") : path;
}

/** Nothing here runs, is framed, is kept or tells others where it was. */
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

function sendError(
  reply: FastifyReply,
  status: number,
  error: string,
  message: string,
  problems?: readonly string[],
): FastifyReply {
  return reply.code(status).send({ error, message, problems });
}

const endpoints = [
  ["/metrics", "everything counted, in the Prometheus text format"],
  ["/livez", "200 while the process runs"],
  ["/readyz", "200 while it takes requests; 503 before the first configuration and while draining"],
  ["/api/config", "the active configuration, and why the file is not it, where it is not"],
  ["/api/releases", "configured and observed share of each version, rules and their hits, flips"],
  ["/api/endpoints", "what is believed of each endpoint, why, and since when"],
  ["/api/explain?url=http://localhost/", "which version a request gets, and why; also method, header, cookie, client"],
];

const items = endpoints.map(([path, text]) => `<li><a href="${path}">${path}</a>: ${text}</li>`);

/** What a person finds who opens the admin address. */
const indexPage = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Perch</title>
<h1>Perch</h1>
<ul>
${items.join("\n")}
</ul>
</html>
`;
