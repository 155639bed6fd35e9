import type { IncomingMessage } from "node:http";
import type { Engine, EngineDecision } from "../index.ts";
import { privateCacheControl, responseField } from "../proxy/response-headers.ts";

/** Decides a request of node:http. `url` is the request target as the client sent it. */
export function incomingRelease(engine: Engine, request: IncomingMessage, url: string): EngineDecision {
  const { method, headers, headersDistinct, socket } = request;
  return engine.decide({
    method,
    url,
    // Mock requests in tests of applications may lack `headersDistinct`.
    headers: headersDistinct ?? headers,
    scheme: "encrypted" in socket ? "https" : "http",
    remoteAddress: socket.remoteAddress,
  });
}

/** Access to the headers of a response, through the framework. */
export interface AnswerHeaders {
  names(): readonly string[];
  get(name: string): unknown;
  set(name: string, value: string): void;
  remove(name: string): void;
}

/** Keeps a response with a pin out of shared caches, which would give the pin to other users. */
export function keepPrivate(headers: AnswerHeaders): void {
  const current = headers.get("cache-control");
  headers.set("cache-control", privateCacheControl(current === undefined ? undefined : String(current)));
  for (const name of headers.names()) {
    if (responseField(name.toLowerCase()) === "targeted-cache-control") headers.remove(name);
  }
}
