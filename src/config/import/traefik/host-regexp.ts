import { hostPattern } from "../../scalars.ts";
import { accepts } from "../accepts.ts";
import { escaped } from "../escaped.ts";

const maxHosts = 20;

/** What may stand for one label or more, as `*.` does. */
const severalLabels = /^(?:\.[+*]|\((?:\?:)?\.[+*]\))\\\./;

/**
 * The hosts that a pattern matches, as Perch's own patterns: names, and `*.` for one label or more. Empty: any host.
 * Undefined if others would match too, such as `a.b.example.com` for `[a-z]+\.example\.com`, or if the pattern matches
 * more, as `example\.com$` matches every name that ends so.
 */
export function hostsOfPattern(pattern: string): readonly string[] | undefined {
  const whole = pattern.replace(/^\(\?i\)/, "");
  const text = whole.replace(/^\^/, "").replace(/\$$/, "");
  if (/^\.[*+]$/.test(text)) return [];
  const isAnchored = (whole.startsWith("^") || severalLabels.test(whole)) && whole.endsWith("$");
  if (!isAnchored) return undefined;
  const hosts = alternatives(text)?.flatMap((one) => hostOf(one) ?? "");
  if (hosts === undefined || hosts.length > maxHosts) return undefined;
  return hosts.every((host) => accepts(hostPattern, host)) ? hosts : undefined;
}

/** `(a|b).c` as a.c and b.c, and `(.+\.)?c` as `.+\.c` and c. Undefined for other groups. */
function alternatives(text: string): readonly string[] | undefined {
  const optional = /^\((?:\?:)?(\.[+*]\\\.)\)\?(.*)$/.exec(text);
  if (optional !== null) return [`${optional[1]}${optional[2]}`, optional[2] ?? ""];
  const group = /\((?:\?:)?((?:[a-z0-9-]|\\\.)+(?:\|(?:[a-z0-9-]|\\\.)+)*)\)(?![?*+{])/i.exec(text);
  if (group === null) return /[(|]/.test(text.replace(severalLabels, "")) ? undefined : [text];
  const [whole, list = ""] = group;
  const parts = list.split("|").map((one) => text.replace(whole, () => one));
  const found = parts.map(alternatives);
  return found.length > maxHosts || found.includes(undefined) ? undefined : found.flatMap((one) => one ?? []);
}

function hostOf(text: string): string | undefined {
  const several = severalLabels.exec(text);
  const rest = several === null ? text : text.slice(several[0].length);
  // A dot that is not escaped matches the dot of a name as well.
  if (!/^(?:[a-z0-9-]|\\?\.)+$/i.test(rest)) return undefined;
  return `${several === null ? "" : "*."}${rest.replaceAll("\\", "").toLowerCase()}`;
}

/** The pattern of a host or path in the syntax of version 2: `{name:pattern}` and `{name}` between literals. */
export function patternOfTemplate(template: string, placeholder: string): string {
  let pattern = "";
  let at = 0;
  for (const found of template.matchAll(/\{([A-Za-z0-9_-]*)(?::((?:[^{}]|\{[^{}]*\})*))?\}/g)) {
    pattern += `${escaped(template.slice(at, found.index))}${inner(found[2] ?? placeholder)}`;
    at = found.index + found[0].length;
  }
  return pattern + escaped(template.slice(at));
}

const inner = (pattern: string): string => (/^\.[+*]$/.test(pattern) ? pattern : `(?:${pattern})`);
