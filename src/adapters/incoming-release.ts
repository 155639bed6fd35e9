import type { IncomingMessage } from "node:http";
import type { Engine, EngineDecision } from "../index.ts";
import { privacyOf, privateCacheControl, responseField } from "../proxy/response-headers.ts";

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

/** Keeps a response that belongs to one version, or sets a pin, out of shared caches. */
export function keepPrivate(
  headers: AnswerHeaders,
  { isPrivate, setCookie }: Pick<EngineDecision, "isPrivate" | "setCookie">,
  method = "GET",
): void {
  const privacy = privacyOf(isPrivate, setCookie, method);
  if (privacy === "none") return;
  const current = headers.get("cache-control");
  if (privacy === "always" || current !== undefined || headers.get("expires") !== undefined) {
    headers.set("cache-control", privateCacheControl(current === undefined ? undefined : String(current)));
  }
  for (const name of headers.names()) {
    if (responseField(name.toLowerCase()) === "targeted-cache-control") headers.remove(name);
  }
}
