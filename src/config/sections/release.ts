import { defaultPropagationHeader } from "../../decide/release-spec.ts";
import {
  addressRange,
  cookieDomain,
  cookieName,
  cookiePath,
  filePath,
  headerName,
  queryName,
  resourceName,
  unreadable,
} from "../scalars.ts";
import { byShape, list, mapOf } from "../schema-kit/collections.ts";
import { defaulted, object, optional, required } from "../schema-kit/object.ts";
import { boolean, duration, number, oneOf, text } from "../schema-kit/scalars.ts";
import type { Infer } from "../schema-kit/schema.ts";
import { conditionSchema, emptyCondition } from "./condition.ts";
import { mirrorSchema } from "./mirror.ts";

const dayMs = 86_400_000;

/** A weight that could not be read makes the sum no number, so that it is not told to be zero besides. */
const weights = mapOf(resourceName, number({ what: "a weight", min: 0, max: 1e9 }), {
  of: "weights",
  min: 1,
  standIn: Number.NaN,
});

const cookie = object(
  {
    name: optional("The cookie's name. Default: perch-<release>.", cookieName),
    maxAge: defaulted("How long a browser keeps the pin.", duration({ minMs: 1_000, maxMs: 3_650 * dayMs }), "30d"),
    path: defaulted("The cookie's Path.", cookiePath, "/"),
    domain: optional("The cookie's Domain. Default: none, so the pin is for the request's host alone.", cookieDomain),
    secure: defaulted(
      "Whether the pin is for https alone; auto: where the request came by https.",
      oneOf(["auto", "always", "never"], { true: "always", false: "never" }),
      "auto",
    ),
    sameSite: defaulted("The cookie's SameSite.", oneOf(["lax", "strict", "none"]), "lax"),
    secretFile: optional(
      "A file of secrets that sign pins, one a line, at least 32 bytes each: the first signs, all verify. " +
        "Without it the secret is random, which is right for one instance only.",
      filePath,
    ),
  },
  { what: "a cookie" },
);

const sticky = object(
  {
    by: optional(
      "What names the unit: an attribute, or clientAddress. Default: a random id that the pin carries.",
      text({ what: "an attribute's name", minLength: 1 }),
    ),
    salt: defaulted("Change it to draw everyone anew.", text({ maxLength: 256 }), ""),
    whenWeightsChange: defaulted(
      "follow: users move as the weights say. hold: users keep the version they were given.",
      oneOf(["follow", "hold"]),
      "follow",
    ),
    onWeightZero: defaulted(
      "With hold, whether a version of weight zero loses its users (evict) or keeps them (drain).",
      oneOf(["evict", "drain"]),
      "evict",
    ),
    epoch: defaulted(
      "Raise it to void the version that older pins hold.",
      number({ what: "an epoch", min: 1, max: 2_147_483_647, integer: true }),
      1,
    ),
    assets: defaulted(
      "follow-document: what a browser loads for a page comes from the version of the page. independent: each request is decided by itself.",
      oneOf(["independent", "follow-document"]),
      "independent",
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
      "The parameter of links for testers: a GET that has it gets the cookie, and is redirected to the address without it.",
      queryName,
    ),
    allowFrom: defaulted("Client addresses that may name a version.", list(addressRange, { of: "address ranges" }), []),
    secretFile: optional("A file of secrets: tokens signed with one of them count from anywhere.", filePath),
  },
  { what: "an override", atLeastOneOf: ["header", "cookie"] },
);

/** What others' headers call a version. */
const versionWord = text({
  what: "what a header calls a version",
  pattern: /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/,
  rule: "use letters, digits, dots, dashes and underscores, at most 63 characters",
});

const propagationHeader = object(
  {
    name: defaulted("The header's name.", headerName, defaultPropagationHeader),
    format: defaulted(
      "releases: shop=canary, other=v2. version: the version alone, or a JSON map of versions by service.",
      oneOf(["releases", "version"]),
      "releases",
    ),
    versions: defaulted(
      "What the header calls versions, by their names here. Default: their names.",
      mapOf(resourceName, versionWord, { of: "versions" }),
      {},
    ),
  },
  { what: "a header" },
);

const propagate = object(
  {
    header: defaulted(
      "The request header that names the version assigned.",
      byShape("a header's name or a map", { scalar: headerName, map: propagationHeader }),
      defaultPropagationHeader,
    ),
    baggage: defaulted("Whether the W3C baggage names it as well.", boolean(), true),
    acceptFrom: defaulted(
      "Callers whose word counts in place of a decision here; everyone else's is removed.",
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
      "The version for requests that match, or weights to draw by.",
      byShape("a version's name or a map of weights", { scalar: resourceName, map: weights }),
      [],
    ),
  },
  { what: "a rule" },
);

/** A release: a traffic policy, who gets which version. */
export const releaseSchema = object(
  {
    sticky: defaulted("How users stay on their version.", sticky, {}),
    override: optional("How testers ask for a version; outranks rules and pins.", override),
    rules: defaulted(
      "Who gets which version, by conditions; the first that matches wins.",
      list(rule, { of: "rules" }),
      [],
    ),
    split: optional("Weights of versions for everyone else; a share is weight / sum.", weights),
    mirror: optional("Copies of some requests for a version that does not answer them.", mirrorSchema),
    propagate: optional("How upstreams are told the version assigned, and whose word for it counts.", propagate),
  },
  { what: "a release" },
);

export type ReleaseConfig = Infer<typeof releaseSchema>;
export type RuleConfig = ReleaseConfig["rules"][number];
export type StickyConfig = ReleaseConfig["sticky"];
export type OverrideConfig = Exclude<ReleaseConfig["override"], undefined>;
export type PropagateConfig = Exclude<ReleaseConfig["propagate"], undefined>;
export type WeightsConfig = Exclude<ReleaseConfig["split"], undefined>;
