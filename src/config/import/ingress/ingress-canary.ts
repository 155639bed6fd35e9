import { cookieName, headerName } from "../../scalars.ts";
import { accepts } from "../accepts.ts";
import type { Draft, YamlMap, YamlValue } from "../draft.ts";
import { type Manifest, titleOf } from "../manifests.ts";
import { re2Problem } from "../re2-problem.ts";
import { stickyOf } from "./ingress-affinity.ts";
import { annotation, takeAnnotation } from "./ingress-annotations.ts";

/**
 * The release for the annotations of a canary Ingress. ingress-nginx evaluates the header, then the cookie, then the
 * weight (balancer.lua: `route_to_alternative_balancer`). With cookie affinity the affinity cookie comes first.
 */
export function canaryRelease(main: Manifest, canary: Manifest, draft: Draft): YamlMap {
  const rules = [...headerRules(canary, draft), ...cookieRules(canary)];
  const sticky = stickyOf(main, canary, draft);
  if (rules.length > 0) {
    draft.note(
      titleOf(canary),
      "the canary header or cookie applied to a single request; Perch keeps the chosen version in the user's pin until a request chooses otherwise (clients without cookies behave as before)",
    );
  }
  return {
    ...sticky,
    ...(rules.length === 0 ? {} : { rules }),
    split: splitOf(canary, draft),
  };
}

function headerRules(canary: Manifest, draft: Draft): YamlValue[] {
  const isName = (text: string) => (accepts(headerName, text) ? text.toLowerCase() : undefined);
  const header = takeAnnotation(canary, "canary-by-header", isName);
  if (header === undefined) return [];
  const value = annotation(canary, "canary-by-header-value");
  const pattern = annotation(canary, "canary-by-header-pattern");
  const rule = (name: string, test: YamlValue, use: string): YamlMap => ({
    name,
    when: { header: { [header]: test } },
    use,
  });
  if (value !== "") {
    // As in ingress-nginx, a value disables the pattern, `always` and `never`.
    if (pattern !== "")
      draft.note(titleOf(canary), "canary-by-header-pattern has no effect with canary-by-header-value");
    return [rule("canary-by-header-value", { equals: value }, "canary")];
  }
  if (pattern === "") return [rule("canary-by-header", "always", "canary"), rule("not-by-header", "never", "stable")];
  const problem = re2Problem(pattern);
  if (problem === undefined) return [rule("canary-by-header-pattern", { regex: pattern }, "canary")];
  draft.note(titleOf(canary), `canary-by-header-pattern: ${problem}: no rule was created`);
  return [];
}

function cookieRules(canary: Manifest): YamlValue[] {
  const cookie = takeAnnotation(canary, "canary-by-cookie", (text) => (accepts(cookieName, text) ? text : undefined));
  if (cookie === undefined) return [];
  const rule = (name: string, value: string, use: string): YamlMap => ({
    name,
    when: { cookie: { [cookie]: value } },
    use,
  });
  return [rule("canary-by-cookie", "always", "canary"), rule("not-by-cookie", "never", "stable")];
}

/** As in ingress-nginx, a total below 100 counts as 100. */
function splitOf(canary: Manifest, draft: Draft): YamlMap {
  const whole = (text: string) => (/^-?\d+$/.test(text) ? Number(text) : undefined);
  const weight = takeAnnotation(canary, "canary-weight", whole) ?? 0;
  const wanted = takeAnnotation(canary, "canary-weight-total", whole);
  if (wanted !== undefined && wanted < 100) {
    draft.note(titleOf(canary), `canary-weight-total ${wanted} counts as 100, as in ingress-nginx`);
  }
  const total = Math.max(100, wanted ?? 100);
  const share = Math.min(Math.max(0, weight), total);
  return { stable: total - share, canary: share };
}
