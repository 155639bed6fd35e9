import { cookieDomain, cookiePath } from "../../scalars.ts";
import { accepts } from "../accepts.ts";
import { type Draft, pinName, type YamlMap } from "../draft.ts";
import { perRequestWeights } from "../notes.ts";
import type { SourceObject } from "../source-object.ts";

const defaultMaxAgeSeconds = 86_400;

/** `sticky` of the release for `sessionAffinity`; empty without it. */
export function stickySessions(affinity: SourceObject, where: string, draft: Draft): YamlMap {
  if (affinity.keys().length === 0) {
    draft.note(where, perRequestWeights);
    return {};
  }
  // Always so: scripts cannot read a pin, and users of both versions have one.
  affinity.dismiss("httpOnly", "primaryCookieName");
  const name = affinity.take("cookieName", pinName);
  const domain = affinity.take("domain", (text) => (accepts(cookieDomain, text) ? text : undefined));
  const path = affinity.take("path", (text) => (accepts(cookiePath, text) ? text : undefined));
  const sameSite = affinity.text("sameSite").toLowerCase();
  const isPartitioned = affinity.flag("partitioned") === true;
  const isSecure = affinity.flag("secure") === true;
  const cookie = {
    ...(name === undefined ? {} : { name }),
    maxAge: `${affinity.number("maxAge") || defaultMaxAgeSeconds}s`,
    ...(domain === undefined ? {} : { domain }),
    ...(path === undefined ? {} : { path }),
    ...(/^(?:lax|strict|none)$/.test(sameSite) ? { sameSite } : {}),
    ...(isSecure ? { secure: "always" } : {}),
    ...(isPartitioned ? { partitioned: true } : {}),
  };
  return { cookie };
}
