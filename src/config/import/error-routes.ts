import type { Draft, DraftRoute } from "./draft.ts";

/** The name never resolves (RFC 6761), and no request gets there: the fault replies first. */
const nowhere = "http://no-backend.invalid:80";

/** What makes a route reply to all its requests with this error. */
export function errorReply(status: number, draft: Draft): Pick<DraftRoute, "service" | "release" | "settings"> {
  const service = draft.service("no-backend", [{ name: "none", endpoints: [nowhere] }], {});
  return { service, release: undefined, settings: { fault: { abort: { status } } } };
}

/** A route for requests that got this error in the original, for there was nothing that could serve them. */
export function errorRoute(
  route: Omit<DraftRoute, "service" | "release" | "settings" | "servesNobody">,
  status: number,
  draft: Draft,
): DraftRoute {
  return { ...route, ...errorReply(status, draft), servesNobody: true };
}
