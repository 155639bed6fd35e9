import { compilePattern } from "../pattern.ts";
import type { Draft, YamlMap, YamlValue } from "./draft.ts";
import { annotation } from "./ingress-locations.ts";
import { type Manifest, numberIn, titleOf } from "./manifests.ts";

/**
 * The release for the annotations of a canary Ingress. ingress-nginx evaluates the header, then the cookie, then the
 * weight (balancer.lua: `route_to_alternative_balancer`). With cookie affinity the affinity cookie comes first.
 */
export function canaryRelease(main: Manifest, canary: Manifest, draft: Draft): YamlMap {
  const rules = [...headerRules(canary, draft), ...cookieRules(canary)];
  const { sticky } = affinityOf(main, canary, draft);
  if (rules.length > 0) {
    draft.note(
      titleOf(canary),
      "the canary header or cookie applied to a single request; Perch keeps the chosen version in the user's pin until a request chooses otherwise (clients without cookies behave as before)",
    );
  }
  return {
    ...(Object.keys(sticky).length === 0 ? {} : { sticky }),
    ...(rules.length === 0 ? {} : { rules }),
    split: splitOf(canary, draft),
  };
}

function headerRules(canary: Manifest, draft: Draft): YamlValue[] {
  const header = annotation(canary, "canary-by-header").toLowerCase();
  if (header === "") return [];
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
  const compiled = compilePattern(pattern);
  if (!("problem" in compiled)) return [rule("canary-by-header-pattern", { regex: pattern }, "canary")];
  draft.note(
    titleOf(canary),
    `the pattern ${pattern} in canary-by-header-pattern is not valid RE2 syntax (${compiled.problem}): no rule was created`,
  );
  return [];
}

function cookieRules(canary: Manifest): YamlValue[] {
  const cookie = annotation(canary, "canary-by-cookie");
  if (cookie === "") return [];
  const rule = (name: string, value: string, use: string): YamlMap => ({
    name,
    when: { cookie: { [cookie]: value } },
    use,
  });
  return [rule("canary-by-cookie", "always", "canary"), rule("not-by-cookie", "never", "stable")];
}

/** As in ingress-nginx, a total below 100 counts as 100. */
function splitOf(canary: Manifest, draft: Draft): YamlMap {
  const weight = numberIn(annotation(canary, "canary-weight")) ?? 0;
  const wanted = numberIn(annotation(canary, "canary-weight-total"));
  if (wanted !== undefined && wanted < 100) {
    draft.note(titleOf(canary), `canary-weight-total ${wanted} counts as 100, as in ingress-nginx`);
  }
  const total = Math.max(100, wanted ?? 100);
  const share = Math.min(Math.max(0, weight), total);
  return { stable: total - share, canary: share };
}

function affinityOf(main: Manifest, canary: Manifest, draft: Draft): { readonly sticky: YamlMap } {
  if (annotation(main, "affinity") !== "cookie") {
    draft.note(
      titleOf(main),
      "without affinity the weight applied to each request separately; Perch keeps each user on one version with a signed cookie",
    );
    return { sticky: {} };
  }
  const behavior = annotation(main, "affinity-canary-behavior") || annotation(canary, "affinity-canary-behavior");
  const cookie: Record<string, YamlValue> = {};
  const maxAge = numberIn(annotation(main, "session-cookie-max-age"));
  const path = annotation(main, "session-cookie-path");
  const sameSite = annotation(main, "session-cookie-samesite").toLowerCase();
  if (maxAge !== undefined && maxAge > 0) cookie["maxAge"] = `${maxAge}s`;
  if (path.startsWith("/")) cookie["path"] = path;
  if (["lax", "strict", "none"].includes(sameSite)) cookie["sameSite"] = sameSite;
  if (annotation(main, "session-cookie-secure") === "true") cookie["secure"] = "always";
  draft.note(
    titleOf(main),
    "affinity kept a user on one Pod; Perch keeps users on a version. To keep them on a Pod as well, use a headless Service as `{ dns: … }` and set `balance: hash`",
  );
  draft.note(
    titleOf(canary),
    "the affinity cookie took precedence over the canary header and cookie; in Perch the rules take precedence over the pin",
  );
  return {
    sticky: {
      // `sticky`, the default: users keep their version even if its weight is lowered.
      ...(behavior === "legacy" ? {} : { whenWeightsChange: "hold", onWeightZero: "drain" }),
      ...(Object.keys(cookie).length === 0 ? {} : { cookie }),
    },
  };
}
