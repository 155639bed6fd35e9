import type { IncomingMessage } from "node:http";
import type { Engine, EngineDecision } from "../index.ts";
import { privateCacheControl, responseField } from "../proxy/response-headers.ts";

/** Decides a request of node:http; `url` is its target as the client sent it. */
export function incomingRelease(engine: Engine, request: IncomingMessage, url: string): EngineDecision {
  const { method, headers, headersDistinct, socket } = request;
  return engine.decide({
    method,
    url,
    // What stands in for a request in tests of applications may have joined headers only.
    headers: headersDistinct ?? headers,
    scheme: "encrypted" in socket ? "https" : "http",
    remoteAddress: socket.remoteAddress,
  });
}

/** The headers of an answer, as the framework lets them be changed. */
export interface AnswerHeaders {
  names(): readonly string[];
  get(name: string): unknown;
  set(name: string, value: string): void;
  remove(name: string): void;
}

/** Keeps an answer that carries a pin out of shared caches, which would hand it to others. */
export function keepPrivate(headers: AnswerHeaders): void {
  const said = headers.get("cache-control");
  headers.set("cache-control", privateCacheControl(said === undefined ? undefined : String(said)));
  for (const name of headers.names()) {
    if (responseField(name.toLowerCase()) === "targeted-cache-control") headers.remove(name);
  }
}
