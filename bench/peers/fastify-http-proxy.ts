/**
 * The canary work in front of @fastify/http-proxy, by its documentation: a preHandler decides,
 * `replyOptions.getUpstream` chooses, `rewriteRequestHeaders` adds X-Forwarded-For, -Proto and -Host, `rewriteHeaders`
 * adds the cookie. Logging is off; timeouts are the defaults. Its own undici is its fastest way to forward: node:http took
 * more CPU, and so did an agent of undici 8.
 */
import type { IncomingHttpHeaders } from "node:http";
import httpProxy from "@fastify/http-proxy";
import fastify from "fastify";
import { type Assignment, announce, assign, count, origins, portOf } from "./canary-work.ts";

declare module "fastify" {
  interface FastifyRequest {
    assignment: Assignment | null;
  }
}

const bases = { stable: origins.stable.origin, canary: origins.canary.origin };
const app = fastify({ logger: false });
app.decorateRequest("assignment", null);
app.addHook("onResponse", (request, reply, done) => {
  if (request.assignment !== null) count(request.assignment.version, reply.elapsedTime / 1000);
  done();
});

await app.register(httpProxy, {
  upstream: "",
  disableRequestLogging: true,
  undici: { connections: 128, pipelining: 1 },
  preHandler: (request, _reply, done) => {
    request.assignment = assign(request.headers);
    done();
  },
  replyOptions: {
    getUpstream: (request) => bases[request.assignment?.version ?? "stable"],
    rewriteRequestHeaders: (request, headers) => {
      // A copy, which may be changed.
      const sent = headers as IncomingHttpHeaders;
      const before = sent["x-forwarded-for"];
      sent["x-forwarded-for"] = before === undefined ? request.ip : `${before}, ${request.ip}`;
      sent["x-forwarded-proto"] = request.protocol;
      sent["x-forwarded-host"] = request.host;
      return sent;
    },
    rewriteHeaders: (headers, request) => {
      const setCookie = request?.assignment?.setCookie;
      headers["x-served-version"] = request?.assignment?.version;
      if (setCookie === undefined) return headers;
      const before = headers["set-cookie"];
      headers["set-cookie"] = before === undefined ? [setCookie] : [...before, setCookie];
      return headers;
    },
  },
});
await app.listen({ host: "127.0.0.1", port: 0 });
announce(portOf(app.server.address()));
