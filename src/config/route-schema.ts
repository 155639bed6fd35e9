import { textTestSchema } from "./condition-schema.ts";
import { headerName, hostPattern, methodName, queryName, resourceName, unreadable, urlPath } from "./domain-scalars.ts";
import { faultSchema } from "./fault-schema.ts";
import { headerEditsSchema } from "./header-edits-schema.ts";
import { list, mapOf } from "./kit/collections.ts";
import { defaulted, object, optional, required } from "./kit/object.ts";
import { size } from "./kit/quantities.ts";
import { oneOf, text } from "./kit/scalars.ts";
import type { Infer } from "./kit/schema.ts";
import { rateLimitSchema } from "./rate-limit-schema.ts";
import { redirectSchema } from "./redirect-schema.ts";
import { rewriteSchema } from "./rewrite-schema.ts";
import { timeout } from "./service-schema.ts";

const path = object(
  {
    exact: optional("The whole path.", urlPath),
    prefix: optional("Whole segments from the path's start: /api takes /api and /api/x, never /apix.", urlPath),
    regex: optional("A pattern (RE2 syntax, linear time) that is found anywhere in the path.", text({ minLength: 1 })),
  },
  { what: "a path", exactlyOneOf: ["exact", "prefix", "regex"] },
);

const match = object(
  {
    hosts: optional("One of these hosts; *.example.com takes any below.", list(hostPattern, { of: "hosts", min: 1 })),
    scheme: optional("How the client came: http or https.", oneOf(["http", "https"])),
    path: optional("The path.", path),
    methods: optional("One of these methods.", list(methodName, { of: "methods", min: 1 })),
    headers: optional(
      "Tests on request headers, by name.",
      mapOf(headerName, textTestSchema, { of: "headers", min: 1 }),
    ),
    query: optional(
      "Tests on query parameters, by name.",
      mapOf(queryName, textTestSchema, { of: "parameters", min: 1 }),
    ),
  },
  { what: "a match" },
);

const timeouts = object(
  {
    responseHeaders: optional("From the end of the request to the response's head.", timeout),
    idle: optional("Between two pieces of a body, either way.", timeout),
    total: optional("For the whole request, from its first octet to the answer's last.", timeout),
  },
  { what: "a route's timeouts", atLeastOneOf: ["responseHeaders", "idle", "total"] },
);

/** Which requests go to which service, or elsewhere, and what is done to them on the way. */
export const routeSchema = object(
  {
    name: required("The route's name, as metrics and logs call it.", resourceName, unreadable),
    match: defaulted("Which requests the route takes: all of these must hold. Default: every request.", match, {}),
    service: optional("The service that answers.", resourceName),
    requestHeaders: optional("What is done to the header of requests.", headerEditsSchema),
    responseHeaders: optional("What is done to the header of responses.", headerEditsSchema),
    rewrite: optional("What becomes of a request's address on its way upstream.", rewriteSchema),
    timeouts: optional("In place of the service's own.", timeouts),
    maxBodySize: optional(
      "The largest request body, in place of limits.body; 0 for no limit.",
      size({ min: 0, max: Number.MAX_SAFE_INTEGER }),
    ),
    rateLimit: optional("How many requests of one requester are taken.", rateLimitSchema),
    fault: optional("What is done wrong on purpose, to see how others bear it.", faultSchema),
    redirect: optional("Where clients are sent, by Perch itself; no service answers.", redirectSchema),
    release: optional(
      "The release that decides which version answers. Default: none, so the service's default does.",
      resourceName,
    ),
    mirror: defaulted(
      "off: the route's requests are never copied, whatever its release says.",
      oneOf(["on", "off"], { true: "on", false: "off" }),
      "on",
    ),
  },
  {
    what: "a route",
    exactlyOneOf: ["service", "redirect"],
    later: ["retries"],
  },
);

export type RouteConfig = Infer<typeof routeSchema>;
export type MatchConfig = RouteConfig["match"];
