import type { Draft, YamlMap, YamlValue } from "./draft.ts";
import { annotation, type IngressLocation, matchOf } from "./ingress-locations.ts";
import { numberIn } from "./loose.ts";
import { titleOf } from "./manifests.ts";

/** How a location becomes a route. */
export interface IngressRoute {
  readonly match: YamlMap;
  readonly settings: YamlMap;
}

/** The usual way to take a prefix away: the path `/shop(/|$)(.*)` and the target `/$2`. */
const capturedRest = /^(\/[A-Za-z0-9._~/-]*?)\(\/\|\$\)\(\.\*\)$/;
const targetWithRest = /^(\/[A-Za-z0-9._~/-]*?)\/?\$2$/;

export function ingressRoute(location: IngressLocation, draft: Draft): IngressRoute {
  const { ingress } = location;
  const rewritten = rewrittenPrefix(location, draft);
  const host = annotation(ingress, "upstream-vhost");
  const rewrite = {
    ...(rewritten === undefined ? {} : { prefix: rewritten.target }),
    ...(host === "" ? {} : { host }),
  };
  const match = rewritten === undefined ? matchOf(location) : matchOf({ ...location, ...rewritten, kind: "prefix" });
  return {
    match,
    settings: {
      ...(Object.keys(rewrite).length === 0 ? {} : { rewrite }),
      ...bodySize(location),
      ...rateLimit(location),
    },
  };
}

function rewrittenPrefix(
  { ingress, path }: IngressLocation,
  draft: Draft,
): { readonly path: string; readonly target: string } | undefined {
  const target = annotation(ingress, "rewrite-target");
  if (target === "") return undefined;
  const [, prefix] = capturedRest.exec(path) ?? [];
  const [, start] = targetWithRest.exec(target) ?? [];
  if (prefix !== undefined && start !== undefined) return { path: prefix === "" ? "/" : prefix, target: start || "/" };
  draft.note(titleOf(ingress), `rewrite-target ${target} of the path ${path}: no equivalent here, the path stays`);
  return undefined;
}

/** As nginx writes sizes: 512k, 8m, 1g; 0 for no limit. */
function bodySize({ ingress }: IngressLocation): YamlMap {
  const [, count, unit = ""] = /^(\d+)([kmg]?)$/i.exec(annotation(ingress, "proxy-body-size")) ?? [];
  if (count === undefined || Number(count) === 0) return {};
  const units: Readonly<Record<string, string>> = { k: "KiB", m: "MiB", g: "GiB" };
  return { maxBodySize: `${count}${units[unit.toLowerCase()] ?? "B"}` };
}

/** Requests a second or minute of one client address, with ingress-nginx's burst of five times as many. */
function rateLimit({ ingress }: IngressLocation): YamlMap {
  const perSecond = numberIn(annotation(ingress, "limit-rps"));
  const perMinute = numberIn(annotation(ingress, "limit-rpm"));
  const requests = perSecond ?? perMinute;
  if (requests === undefined) return {};
  const burst = requests * (numberIn(annotation(ingress, "limit-burst-multiplier")) ?? 5);
  const limit: YamlMap = { by: "clientAddress", requests, per: perSecond === undefined ? "1m" : "1s", burst };
  return { rateLimit: limit };
}

/** Where the whole Ingress only sends its clients elsewhere. */
export function ingressRedirect({ ingress }: IngressLocation): YamlMap | undefined {
  const permanent = annotation(ingress, "permanent-redirect");
  const target = permanent || annotation(ingress, "temporal-redirect");
  if (!URL.canParse(target)) return undefined;
  const { protocol, hostname, port, pathname } = new URL(target);
  const status = numberIn(annotation(ingress, "permanent-redirect-code"));
  const redirect: Record<string, YamlValue> = { scheme: protocol.replace(":", ""), host: hostname, path: pathname };
  if (port !== "") redirect["port"] = Number(port);
  redirect["status"] = permanent === "" ? 302 : (status ?? 301);
  return redirect;
}
