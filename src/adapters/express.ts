/**
 * Perch's decisions in an Express or Connect application: `request.release` says which version each request gets.
 *
 * @module
 */
import type { IncomingMessage, OutgoingHttpHeader, OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { Engine, EngineDecision } from "../index.ts";
import { incomingRelease, keepPrivate } from "./incoming-release.ts";

declare global {
  // What @types/express has applications extend; without it this is a namespace of its own.
  namespace Express {
    interface Request {
      /** Which version this request gets, and why; the headers for calls to other services. */
      release: EngineDecision;
    }
  }
}

/** A request as Connect and Express hand it on. */
export interface ReleaseRequest extends IncomingMessage {
  /** The target before a router was mounted on a part of it. */
  originalUrl?: string;
  release?: EngineDecision;
}

export type ReleaseMiddleware = (request: ReleaseRequest, response: ServerResponse, next: () => void) => void;

/**
 * A middleware that decides each request and sets its pin. Put it before whatever branches.
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
    const { setCookie } = request.release;
    if (setCookie !== undefined) setPin(response, setCookie);
    next();
  };
}

function setPin(response: ServerResponse, setCookie: string): void {
  response.appendHeader("set-cookie", setCookie);
  const writeHead = response.writeHead.bind(response) as (status: number, message?: string) => ServerResponse;
  // The application says last whether its answer may be cached, so it is looked at where the head is written.
  response.writeHead = ((status: number, ...rest: readonly (string | GivenHeaders | undefined)[]) => {
    for (const given of rest) if (typeof given === "object") setAll(response, given);
    keepPrivate({
      names: () => response.getHeaderNames(),
      get: (name) => response.getHeader(name),
      set: (name, value) => void response.setHeader(name, value),
      remove: (name) => response.removeHeader(name),
    });
    const [message] = rest;
    return typeof message === "string" ? writeHead(status, message) : writeHead(status);
  }) as ServerResponse["writeHead"];
}

type GivenHeaders = OutgoingHttpHeaders | readonly OutgoingHttpHeader[];

/** As `writeHead` itself takes them: an object, or a list of names and values in turns. */
function setAll(response: ServerResponse, given: GivenHeaders): void {
  const entries = Array.isArray(given)
    ? given.flatMap((name, at) => (at % 2 === 0 ? [[String(name), given[at + 1]] as const] : []))
    : Object.entries(given);
  for (const [name, value] of entries) {
    if (value === undefined) continue;
    // A cookie of the application's does not take the place of the pin.
    if (name.toLowerCase() === "set-cookie") response.appendHeader(name, [value].flat().map(String));
    else response.setHeader(name, value);
  }
}
