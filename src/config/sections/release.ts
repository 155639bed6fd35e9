import { defaultPropagationHeader } from "../../decide/release-spec.ts";
import {
  addressRange,
  cookieDomain,
  cookieName,
  cookiePath,
  headerName,
  queryName,
  resourceName,
  secretPath,
  unreadable,
  urlPath,
  wordOr,
} from "../scalars.ts";
import { byShape, list, mapOf } from "../schema-kit/collections.ts";
import { defaulted, object, optional, required } from "../schema-kit/object.ts";
import { boolean, duration, number, oneOf, text } from "../schema-kit/scalars.ts";
import type { Infer } from "../schema-kit/schema.ts";
import { conditionSchema, emptyCondition } from "./condition.ts";
import { mirrorSchema } from "./mirror.ts";
import { rolloutSchema } from "./rollout.ts";

const dayMs = 86_400_000;

/** NaN for an invalid weight: the sum must not be reported as zero in addition. */
const weights = mapOf(resourceName, number({ what: "a weight", min: 0, max: 1e9 }), {
  of: "weights",
  min: 1,
  standIn: Number.NaN,
});

const cookie = object(
  {
    name: optional("The cookie's name. Default: perch-<release>.", cookieName),
    maxAge: defaulted(
      "The cookie's Max-Age: how long browsers keep the pin. session: none, so they keep it until their session ends.",
      wordOr("session", duration({ minMs: 1_000, maxMs: 3_650 * dayMs })),
      "30d",
    ),
    path: defaulted("The cookie's Path.", cookiePath, "/"),
    domain: optional(
      "The cookie's Domain. Default: none, so the pin applies to the request's host only.",
      cookieDomain,
    ),
    secure: defaulted(
      "Whether the cookie is Secure (https only); auto: if the request came by https.",
      oneOf(["auto", "always", "never"], { true: "always", false: "never" }),
      "auto",
    ),
    sameSite: defaulted(
      "The cookie's SameSite. none is sent as lax where the cookie is not Secure.",
      oneOf(["lax", "strict", "none"]),
      "lax",
    ),
    partitioned: defaulted(
      "Whether browsers keep a cookie for each site that embeds this one in a frame (CHIPS), where the cookie is Secure.",
      boolean(),
      false,
    ),
    secretFile: optional(
      "A file of secrets for pins, one per line, at least 32 bytes each: the first signs, all verify. " +
        "Default: a random secret, which works for one instance and is lost on restart.",
      secretPath,
    ),
  },
  { what: "a cookie" },
);

const sticky = object(
  {
    by: optional(
      "What identifies the unit: an attribute, or clientAddress. Default: a random id in the pin.",
      text({ what: "an attribute's name", minLength: 1 }),
    ),
    salt: defaulted("Part of the draw. Change it to draw all users again.", text({ maxLength: 256 }), ""),
    whenWeightsChange: defaulted(
      "follow: users move according to the new weights. hold: users keep their version.",
      oneOf(["follow", "hold"]),
      "follow",
    ),
    onWeightZero: defaulted(
      "With hold: whether a version with weight zero loses its users (evict) or keeps them (drain).",
      oneOf(["evict", "drain"]),
      "evict",
    ),
    epoch: defaulted(
      "Raise it to invalidate the version in existing pins.",
      number({ what: "an epoch", min: 1, max: 2_147_483_647, integer: true }),
      1,
    ),
    assets: defaulted(
      "follow-document: the assets of a page are served by the version of the page. independent: each request is decided separately.",
      oneOf(["independent", "follow-document"]),
      "independent",
    ),
    fetches: defaulted(
      "follow-document: the same for what a page's scripts fetch, until the next document. Needs assets: follow-document.",
      oneOf(["independent", "follow-document"]),
      "independent",
    ),
    assetPaths: defaulted(
      "Prefixes, by segment, of paths that are assets whatever the browser says. Needs assets: follow-document.",
      list(urlPath, { of: "paths" }),
      [],
    ),
    cookie: defaulted("The pin's cookie.", cookie, {}),
  },
  { what: "sticky" },
);

const override = object(
  {
    header: optional("The request header in which a tester names a version.", headerName),
    cookie: optional("The cookie in which a tester names a version.", cookieName),
    query: optional(
      "The query parameter of links for testers. A GET with it sets the cookie and is redirected to the URL without it.",
      queryName,
    ),
    allowFrom: defaulted(
      "Client addresses that may name a version without a token.",
      list(addressRange, { of: "address ranges" }),
      [],
    ),
    secretFile: optional(
      "A file of secrets, one per line. Tokens signed with one of them are accepted from any address.",
      secretPath,
    ),
  },
  { what: "an override", atLeastOneOf: ["header", "cookie"] },
);

/** The name of a version in a propagation header. */
const versionWord = text({
  what: "a version's name in a header",
  pattern: /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/,
  rule: "use letters, digits, dots, dashes and underscores, at most 63 characters",
});

const propagationHeader = object(
  {
    name: defaulted("The header's name.", headerName, defaultPropagationHeader),
    format: defaulted(
      "releases: shop=canary, other=v2. version: the version only, or a JSON map of versions by service.",
      oneOf(["releases", "version"]),
      "releases",
    ),
    versions: defaulted(
      "The names of versions in the header, by version. Default: unchanged.",
      mapOf(resourceName, versionWord, { of: "versions" }),
      {},
    ),
  },
  { what: "a header" },
);

const propagate = object(
  {
    header: defaulted(
      "The request header that carries the assigned version.",
      byShape("a header's name or a map", { scalar: headerName, map: propagationHeader }),
      defaultPropagationHeader,
    ),
    baggage: defaulted("Whether the W3C baggage header carries it as well.", boolean(), true),
    acceptFrom: defaulted(
      "Callers whose assigned version is accepted instead of a decision here. It is removed from the requests of others.",
      list(addressRange, { of: "address ranges" }),
      [],
    ),
  },
  { what: "propagate" },
);

const rule = object(
  {
    name: required("The rule's name, unique within its release.", resourceName, unreadable),
    when: required("The condition; every entry must hold.", conditionSchema, emptyCondition),
    use: required(
      "The version for matching requests, weights of versions, or rollout: the release's rollout draws.",
      byShape("a version's name, rollout, or a map of weights", { scalar: resourceName, map: weights }),
      [],
    ),
    onRollback: defaulted(
      "Once the rollout was rolled back: the rule no longer gives its candidate (withdraw), or still does (keep).",
      oneOf(["withdraw", "keep"]),
      "withdraw",
    ),
  },
  { what: "a rule" },
);

export const releaseSchema = object(
  {
    sticky: defaulted("How users stay on their version.", sticky, {}),
    override: optional("How testers choose a version. Takes precedence over rules and pins.", override),
    rules: defaulted("Versions by condition; the first match wins.", list(rule, { of: "rules" }), []),
    split: optional("Weights of versions for users that no rule matches; a share is weight / sum.", weights),
    rollout: optional("A plan to move from one version to another in steps, judged on evidence.", rolloutSchema),
    mirror: optional("Mirrors some requests to a version, whose responses are discarded.", mirrorSchema),
    propagate: optional("How the assigned version is sent to upstreams and accepted from callers.", propagate),
  },
  { what: "a release" },
);

export type ReleaseConfig = Infer<typeof releaseSchema>;
export type RuleConfig = ReleaseConfig["rules"][number];
export type StickyConfig = ReleaseConfig["sticky"];
export type OverrideConfig = Exclude<ReleaseConfig["override"], undefined>;
export type PropagateConfig = Exclude<ReleaseConfig["propagate"], undefined>;
export type WeightsConfig = Exclude<ReleaseConfig["split"], undefined>;
