import type { Draft, DraftRoute, YamlMap } from "./draft.ts";

/** The name never resolves (RFC 6761), and no request gets there: the fault replies first. */
const nowhere = "http://no-backend.invalid:80";

/** A route whose requests all get this error, as they did in the original. */
export function errorRoute(name: string, match: YamlMap, status: number, comment: string, draft: Draft): DraftRoute {
  const service = draft.service("no-backend", [{ name: "none", endpoints: [nowhere] }], {});
  return { name, match, service, release: undefined, settings: { fault: { abort: { status } } }, comment };
}

/** Whether it is such a route. A result of these alone serves nobody. */
export function isErrorRoute({ service = "", settings }: DraftRoute): boolean {
  return service.startsWith("no-backend") && settings["fault"] !== undefined;
}
