import { corsOf } from "../cors.ts";
import type { Draft, YamlMap } from "../draft.ts";
import { type Manifest, titleOf } from "../manifests.ts";
import { booleanIn, takeAnnotation } from "./ingress-annotations.ts";

/** The defaults of ingress-nginx. */
const defaults = {
  origins: ["*"],
  methods: ["GET", "PUT", "POST", "DELETE", "PATCH", "OPTIONS"],
  headers: [
    "DNT",
    "Keep-Alive",
    "User-Agent",
    "X-Requested-With",
    "If-Modified-Since",
    "Cache-Control",
    "Content-Type",
    "Range",
    "Authorization",
  ],
  maxAgeSeconds: 1_728_000,
};

/** `cors` for `enable-cors` and the annotations beside it. */
export function ingressCors(ingress: Manifest, draft: Draft): YamlMap {
  if (takeAnnotation(ingress, "enable-cors", booleanIn) !== true) return {};
  const list = (name: string) =>
    takeAnnotation(ingress, name, (text) =>
      text
        .split(",")
        .map((one) => one.trim())
        .filter((one) => one !== ""),
    );
  const seconds = (text: string) => (/^\d{1,9}$/.test(text) ? Number(text) : undefined);
  const origins = list("cors-allow-origin") ?? defaults.origins;
  const credentials = takeAnnotation(ingress, "cors-allow-credentials", booleanIn) ?? true;
  const parts = {
    origins,
    methods: list("cors-allow-methods") ?? defaults.methods,
    headers: list("cors-allow-headers") ?? defaults.headers,
    exposed: list("cors-expose-headers") ?? [],
    // nginx answers with a literal *, which browsers do not accept for credentials; Perch would name the origin.
    credentials: credentials && !origins.includes("*"),
    maxAgeSeconds: takeAnnotation(ingress, "cors-max-age", seconds) ?? defaults.maxAgeSeconds,
  };
  return corsOf(parts, titleOf(ingress), draft);
}
