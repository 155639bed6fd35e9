import { compilePattern } from "../pattern.ts";
import type { Draft, YamlMap, YamlValue } from "./draft.ts";
import { annotation } from "./ingress-locations.ts";
import { type Manifest, numberIn, titleOf } from "./manifests.ts";

/** What a main Ingress's sessions ask of the pin. */
interface Affinity {
  readonly sticky: YamlMap;
}

/**
 * A release that gives canary to whom the annotations of a canary Ingress give it. ingress-nginx asks, in this order: the
 * header, the cookie, the weight (internal/ingress controller, balancer.lua: `route_to_alternative_balancer`); with
 * cookie affinity it asks the affinity cookie before all three.
 */
export function canaryRelease(main: Manifest, canary: Manifest, draft: Draft): YamlMap {
  const rules = [...headerRules(canary, draft), ...cookieRules(canary)];
  const { sticky } = affinityOf(main, canary, draft);
  if (rules.length > 0) {
    draft.note(
      titleOf(canary),
      "a header or cookie that chose a version counted for its request alone; Perch remembers the choice in the user's pin until a request chooses otherwise (requests without cookies, such as those of programs, are as they were)",
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
    // As in ingress-nginx, a value makes the pattern, `always` and `never` mean nothing.
    if (pattern !== "")
      draft.note(titleOf(canary), "canary-by-header-pattern means nothing beside canary-by-header-value");
    return [rule("canary-by-header-value", { equals: value }, "canary")];
  }
  if (pattern === "") return [rule("canary-by-header", "always", "canary"), rule("not-by-header", "never", "stable")];
  const compiled = compilePattern(pattern);
  if (!("problem" in compiled)) return [rule("canary-by-header-pattern", { regex: pattern }, "canary")];
  draft.note(
    titleOf(canary),
    `the pattern ${pattern} in canary-by-header-pattern can not be written in RE2 syntax (${compiled.problem}): no rule was made of it`,
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

/** Weights as ingress-nginx draws by them: a total that is not above 100 counts as 100. */
function splitOf(canary: Manifest, draft: Draft): YamlMap {
  const weight = numberIn(annotation(canary, "canary-weight")) ?? 0;
  const wanted = numberIn(annotation(canary, "canary-weight-total"));
  if (wanted !== undefined && wanted < 100) {
    draft.note(titleOf(canary), `canary-weight-total ${wanted} counts as 100, as it did in ingress-nginx`);
  }
  const total = Math.max(100, wanted ?? 100);
  const share = Math.min(Math.max(0, weight), total);
  return { stable: total - share, canary: share };
}

function affinityOf(main: Manifest, canary: Manifest, draft: Draft): Affinity {
  if (annotation(main, "affinity") !== "cookie") {
    draft.note(
      titleOf(main),
      "without affinity each request was drawn anew; Perch keeps each user on one version, by a signed cookie",
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
    "affinity kept a user on one Pod; Perch keeps users on a version. For Pods as well, name a headless Service as `{ dns: … }` and set `balance: hash`",
  );
  draft.note(
    titleOf(canary),
    "with affinity the cookie was asked before header and cookie switches, so they could not move a user who had one; in Perch the rules come first",
  );
  return {
    sticky: {
      // Sticky, the default: whoever has met a version keeps it, also when the weight is lowered.
      ...(behavior === "legacy" ? {} : { whenWeightsChange: "hold", onWeightZero: "drain" }),
      ...(Object.keys(cookie).length === 0 ? {} : { cookie }),
    },
  };
}
