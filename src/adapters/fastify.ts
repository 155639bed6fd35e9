/**
 * Perch's decisions in a Fastify application, as `request.release`.
 *
 * @module
 */
import type { FastifyPluginCallback, FastifyReply } from "fastify";
import type { Engine, EngineDecision } from "../index.ts";
import { incomingRelease, keepPrivate } from "./incoming-release.ts";

declare module "fastify" {
  interface FastifyRequest {
    /** The version that this request gets, the reason, and the headers for calls to other services. */
    release: EngineDecision;
  }
}

export interface ReleaseOptions {
  readonly engine: Engine;
}

const plugin: FastifyPluginCallback<ReleaseOptions> = (app, { engine }, done) => {
  app.decorateRequest("release");
  app.addHook("onRequest", (request, reply, next) => {
    request.release = incomingRelease(engine, request.raw, request.raw.url ?? "/");
    const { setCookie } = request.release;
    // For set-cookie `reply.header` appends.
    if (setCookie !== undefined) reply.header("set-cookie", setCookie);
    next();
  });
  app.addHook("onSend", (request, reply, _payload, next) => {
    keepPrivate(headersOf(reply), request.release, request.method);
    next();
  });
  done();
};

/**
 * A plugin that decides each request and sets its pin, for the instance that registers it and its child instances.
 *
 * @example
 * const app = fastify();
 * app.register(release, { engine: createEngine({ file: "perch.yaml" }) });
 * app.get("/price", (request) => (request.release.served === "canary" ? newPrice() : price()));
 */
export const release: FastifyPluginCallback<ReleaseOptions> = Object.assign(plugin, {
  // The symbols that fastify-plugin sets: without skip-override the hooks and the decorator would stay in this plugin.
  [Symbol.for("skip-override")]: true,
  [Symbol.for("fastify.display-name")]: "perch-proxy",
  [Symbol.for("plugin-meta")]: { name: "perch-proxy", fastify: "5.x" },
});

function headersOf(reply: FastifyReply): Parameters<typeof keepPrivate>[0] {
  return {
    names: () => Object.keys(reply.getHeaders()),
    get: (name) => reply.getHeader(name),
    set: (name, value) => void reply.header(name, value),
    remove: (name) => void reply.removeHeader(name),
  };
}
