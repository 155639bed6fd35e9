import { textTestSchema } from "./condition-schema.ts";
import { headerName, hostPattern, methodName, queryName, resourceName, unreadable, urlPath } from "./domain-scalars.ts";
import { headerEditsSchema } from "./header-edits-schema.ts";
import { list, mapOf } from "./kit/collections.ts";
import { defaulted, object, optional, required } from "./kit/object.ts";
import { oneOf, text } from "./kit/scalars.ts";
import type { Infer } from "./kit/schema.ts";
import { redirectSchema } from "./redirect-schema.ts";
import { rewriteSchema } from "./rewrite-schema.ts";

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

/** Which requests go to which service, or elsewhere, and what is done to them on the way. */
export const routeSchema = object(
  {
    name: required("The route's name, as metrics and logs call it.", resourceName, unreadable),
    match: defaulted("Which requests the route takes: all of these must hold. Default: every request.", match, {}),
    service: optional("The service that answers.", resourceName),
    requestHeaders: optional("What is done to the header of requests.", headerEditsSchema),
    responseHeaders: optional("What is done to the header of responses.", headerEditsSchema),
    rewrite: optional("What becomes of a request's address on its way upstream.", rewriteSchema),
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
    later: ["timeouts", "retries", "maxBodySize"],
  },
);

export type RouteConfig = Infer<typeof routeSchema>;
export type MatchConfig = RouteConfig["match"];
