/**
 * Perch's decisions in an Express or Connect application, as `request.release`.
 *
 * @module
 */
import type { IncomingMessage, OutgoingHttpHeader, OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { Engine, EngineDecision } from "../index.ts";
import { incomingRelease, keepPrivate } from "./incoming-release.ts";

declare global {
  // The namespace that @types/express documents for extensions. Without that package it is simply unused.
  namespace Express {
    interface Request {
      /** The version that this request gets, the reason, and the headers for calls to other services. */
      release: EngineDecision;
    }
  }
}

/** A request as Connect and Express pass it to a middleware. */
export interface ReleaseRequest extends IncomingMessage {
  /** The full target. A mounted router shortens `url` to the part below its mount point. */
  originalUrl?: string;
  release?: EngineDecision;
}

export type ReleaseMiddleware = (request: ReleaseRequest, response: ServerResponse, next: () => void) => void;

/**
 * A middleware that decides each request and sets its pin. Mount it before any handler that reads `request.release`.
 *
 * @example
 * const app = express();
 * app.use(release(createEngine({ file: "perch.yaml" })));
 * app.get("/price", (request, response) => {
 *   response.json(request.release.served === "canary" ? newPrice() : price());
 * });
 */
export function release(engine: Engine): ReleaseMiddleware {
  return (request, response, next) => {
    request.release = incomingRelease(engine, request, request.originalUrl ?? request.url ?? "/");
    const { setCookie, isPrivate } = request.release;
    if (setCookie !== undefined) response.appendHeader("set-cookie", setCookie);
    if (isPrivate) keepHeadPrivate(response, request.release, request.method);
    next();
  };
}

function keepHeadPrivate(response: ServerResponse, decision: EngineDecision, method: string | undefined): void {
  const writeHead = response.writeHead.bind(response) as (status: number, message?: string) => ServerResponse;
  // The application may set Cache-Control at any time, so it is checked when the head is written.
  response.writeHead = ((status: number, ...rest: readonly (string | GivenHeaders | undefined)[]) => {
    for (const given of rest) if (typeof given === "object") setHeaders(response, given);
    const headers = {
      names: () => response.getHeaderNames(),
      get: (name: string) => response.getHeader(name),
      set: (name: string, value: string) => void response.setHeader(name, value),
      remove: (name: string) => response.removeHeader(name),
    };
    keepPrivate(headers, decision, method);
    const [message] = rest;
    return typeof message === "string" ? writeHead(status, message) : writeHead(status);
  }) as ServerResponse["writeHead"];
}

type GivenHeaders = OutgoingHttpHeaders | readonly OutgoingHttpHeader[];

/** Headers as `writeHead` accepts them: an object, or a flat list of alternating names and values. */
function setHeaders(response: ServerResponse, given: GivenHeaders): void {
  const entries = Array.isArray(given)
    ? given.flatMap((name, at) => (at % 2 === 0 ? [[String(name), given[at + 1]] as const] : []))
    : Object.entries(given);
  for (const [name, value] of entries) {
    if (value === undefined) continue;
    // Appended, not set: a cookie of the application must not replace the pin.
    if (name.toLowerCase() === "set-cookie") response.appendHeader(name, [value].flat().map(String));
    else response.setHeader(name, value);
  }
}
