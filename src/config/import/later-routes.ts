import { hasHost } from "../host-pattern.ts";
import { type DraftRoute, isYamlMap, type YamlMap, type YamlValue } from "./draft.ts";

/** What becomes of the requests of a route that is left out: which of the routes behind it may take them. */
export function whoServesInstead(route: DraftRoute, later: readonly DraftRoute[]): string {
  const next = later.find(({ match }) => mayOverlap(route.match, match));
  return next === undefined ? "no other route matches its requests" : `its requests may reach the route ${next.name}`;
}

/** Whether some request may match both. Tests of headers and the like are not compared. */
function mayOverlap(a: YamlMap, b: YamlMap): boolean {
  return (
    listsOverlap(a["hosts"], b["hosts"], hostsOverlap) &&
    listsOverlap(a["listeners"], b["listeners"], (one, other) => one === other) &&
    listsOverlap(a["methods"], b["methods"], (one, other) => one === other) &&
    (a["scheme"] === undefined || b["scheme"] === undefined || a["scheme"] === b["scheme"]) &&
    pathsOverlap(a["path"], b["path"])
  );
}

function listsOverlap(
  a: YamlValue | undefined,
  b: YamlValue | undefined,
  overlap: (one: string, other: string) => boolean,
): boolean {
  if (!Array.isArray(a) || !Array.isArray(b)) return true;
  return a.some((one) => b.some((other) => overlap(String(one).toLowerCase(), String(other).toLowerCase())));
}

function hostsOverlap(a: string, b: string): boolean {
  return hasHost(a, b) || hasHost(b, a);
}

function pathsOverlap(a: YamlValue | undefined, b: YamlValue | undefined): boolean {
  if (!isYamlMap(a) || !isYamlMap(b)) return true;
  if (a["regex"] !== undefined || b["regex"] !== undefined) return true;
  const isBelow = (path: YamlValue | undefined, prefix: YamlValue | undefined) =>
    path !== undefined && prefix !== undefined && segments(path).startsWith(segments(prefix));
  const either = (one: YamlMap, other: YamlMap) => isBelow(one["exact"] ?? one["prefix"], other["prefix"]);
  return a["exact"] !== undefined && b["exact"] !== undefined
    ? a["exact"] === b["exact"]
    : either(a, b) || either(b, a);
}

const segments = (path: YamlValue): string => `${String(path).replace(/\/+$/, "")}/`;
