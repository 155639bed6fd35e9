import type { Draft } from "../draft.ts";
import { type Manifest, titleOf } from "../manifests.ts";
import { SourceObject } from "../source-object.ts";
import { isCanary } from "./ingress-locations.ts";

const prefix = "nginx.ingress.kubernetes.io/";

/** What ingress-nginx keeps from the location for all other hosts (controller.go: `originalRedirect`, `originalRewrite`). */
const withoutEffect =
  /^(?:permanent-redirect|temporal-redirect|(?:permanent|temporal)-redirect-code|from-to-www-redirect|rewrite-target|use-regex|app-root|ssl-redirect|force-ssl-redirect)$/;

/** The Ingress as ingress-nginx sees it: a default backend without rules has neither redirects nor rewrites. */
export function asCatchAll(ingress: Manifest, draft: Draft): Manifest {
  const { spec, annotations } = ingress;
  const isForOtherHosts = spec.objects("rules").length === 0 && (spec.has("defaultBackend") || spec.has("backend"));
  if (!isForOtherHosts || isCanary(ingress)) return ingress;
  const isIgnored = (key: string) => key.startsWith(prefix) && withoutEffect.test(key.slice(prefix.length));
  const ignored = annotations.keys().filter(isIgnored);
  if (ignored.length === 0) return ingress;
  const names = ignored.map((key) => key.slice(prefix.length)).join(", ");
  const why = `${names} have no effect on an Ingress for all other hosts, in ingress-nginx either`;
  draft.note(titleOf(ingress), why);
  const others = annotations.keys().filter((key) => !isIgnored(key));
  const kept = Object.fromEntries(others.map((key) => [key, annotations.peek(key)]));
  return { ...ingress, annotations: new SourceObject(kept) };
}
