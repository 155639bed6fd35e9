import type { RequestHead } from "../identify/request-head.ts";

/** Stands in for a head that could not be read, so that its refusal is observed like any other end. */
export function unreadableHead(method = ""): RequestHead {
  return {
    method,
    target: "",
    path: "",
    query: "",
    authority: "",
    host: "",
    cookies: undefined,
    header: () => undefined,
    headerLines: () => [],
  };
}
