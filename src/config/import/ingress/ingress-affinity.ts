import { cookieDomain, cookiePath } from "../../scalars.ts";
import { accepts } from "../accepts.ts";
import { type Draft, pinName, type YamlMap } from "../draft.ts";
import { type Manifest, titleOf } from "../manifests.ts";
import { perRequestWeights } from "../notes.ts";
import { booleanIn, dismissAnnotations, peekAnnotation, positive, takeAnnotation } from "./ingress-annotations.ts";

/** `sticky` of the release for the affinity of a main Ingress and its canary. */
export function stickyOf(main: Manifest, canary: Manifest, draft: Draft): YamlMap {
  // Read from the canary alone, as by ingress-nginx (controller.go: `mergeAlternativeBackends`).
  const behavior = takeAnnotation(canary, "affinity-canary-behavior", (text) => {
    return /^(?:legacy|sticky)$/.test(text) ? text : undefined;
  });
  if (takeAnnotation(main, "affinity", (text) => (text === "cookie" ? text : undefined)) === undefined) {
    draft.note(titleOf(main), perRequestWeights);
    return {};
  }
  noteHash(main, draft);
  draft.note(
    titleOf(canary),
    "the affinity cookie took precedence over the canary header and cookie; in Perch the rules take precedence over the pin",
  );
  const isHeld = behavior !== "legacy";
  if (isHeld) {
    draft.note(
      titleOf(canary),
      "`hold` and `drain`, as in ingress-nginx: a weight of 0 moves no user back whose pin names the canary. To roll back, raise `sticky.epoch` as well, or set `whenWeightsChange: follow`",
    );
  }
  const cookie = cookieOf(main);
  return {
    sticky: {
      // `sticky`, the default: users keep their version even if its weight is lowered.
      ...(!isHeld ? {} : { whenWeightsChange: "hold", onWeightZero: "drain" }),
      cookie,
    },
  };
}

/** Whether users stay on a Pod. */
export function hasAffinity(ingress: Manifest): boolean {
  return peekAnnotation(ingress, "affinity") === "cookie";
}

/** The release of an Ingress without a canary: its pin names the user for `balance: hash`. */
export function affinityRelease(main: Manifest, draft: Draft): YamlMap {
  const split = { stable: 1 };
  const isCookie = (text: string) => (text === "cookie" ? text : undefined);
  if (takeAnnotation(main, "affinity", isCookie) === undefined) return { split };
  noteHash(main, draft);
  return { sticky: { cookie: cookieOf(main) }, split };
}

function noteHash(main: Manifest, draft: Draft): void {
  draft.note(
    titleOf(main),
    "affinity kept a user on one Pod, as `balance: hash` does, but only among endpoints that are Pods: use a headless Service (`clusterIP: None`) as `{ dns: … }`",
  );
}

function cookieOf(main: Manifest): YamlMap {
  const secure = takeAnnotation(main, "session-cookie-secure", (text) => (text === "true" ? text : undefined));
  const path = takeAnnotation(main, "session-cookie-path", (text) => (accepts(cookiePath, text) ? text : undefined));
  const domain = takeAnnotation(main, "session-cookie-domain", (text) =>
    accepts(cookieDomain, text) ? text : undefined,
  );
  const name = takeAnnotation(main, "session-cookie-name", pinName);
  const partitioned = takeAnnotation(main, "session-cookie-partitioned", booleanIn);
  const sameSite = takeAnnotation(main, "session-cookie-samesite", (text) => {
    return /^(?:lax|strict|none)$/i.test(text) ? text.toLowerCase() : undefined;
  });
  // Browsers prefer Max-Age to Expires (RFC 6265 §5.3).
  const maxAge =
    takeAnnotation(main, "session-cookie-max-age", positive) ??
    takeAnnotation(main, "session-cookie-expires", positive);
  if (maxAge !== undefined) dismissAnnotations(main, "session-cookie-expires");
  if (peekAnnotation(main, "session-cookie-secure") === "false") dismissAnnotations(main, "session-cookie-secure");
  return {
    ...(name === undefined ? {} : { name }),
    ...(maxAge === undefined ? {} : { maxAge: `${maxAge}s` }),
    ...(path === undefined ? {} : { path }),
    ...(domain === undefined ? {} : { domain }),
    ...(secure === undefined ? {} : { secure: "always" }),
    ...(sameSite === undefined ? {} : { sameSite }),
    ...(partitioned === true ? { partitioned } : {}),
    // Without either age, browsers keep the cookie until their session ends.
    ...(maxAge === undefined ? { maxAge: "session" } : {}),
  };
}
