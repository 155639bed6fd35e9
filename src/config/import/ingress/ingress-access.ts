import { parseAddressRange } from "../../../decide/ip-address.ts";
import { type Draft, lossOf, type YamlMap } from "../draft.ts";
import { type Manifest, titleOf } from "../manifests.ts";
import type { ControllerConfig } from "./controller-config.ts";
import type { IngressServer } from "./ingress-locations.ts";

/**
 * `fault` of a route, for the clients and hosts that ingress-nginx refused: 403 by the address lists, and 404 for hosts
 * that are more than one label below the server's wildcard, where Perch's wildcards match any number.
 */
export function accessFault(
  ingress: Manifest,
  server: IngressServer,
  controller: ControllerConfig,
  draft: Draft,
): YamlMap {
  const deeper = deeperHosts(server);
  const refused = refusedClients(ingress, controller, draft);
  if (refused === "everyone") return { fault: { abort: { status: 403 } } };
  const conditions = [...refused, ...deeper];
  const [first] = conditions;
  if (first === undefined) return {};
  const status = refused.length === 0 ? 404 : 403;
  return { fault: { abort: { status, when: conditions.length === 1 ? first : { any: conditions } } } };
}

function deeperHosts({ host, aliases }: IngressServer): YamlMap[] {
  if (!host.startsWith("*.")) return [];
  const regex = `^[^.]+\\..+${host.slice(1).replaceAll(".", "\\.")}$`;
  return [{ host: { regex }, ...(aliases.length === 0 ? {} : { not: { host: aliases } }) }];
}

/** Conditions on the clients that get 403. A list of which nothing can be read refuses everyone, as ingress-nginx does. */
function refusedClients(ingress: Manifest, controller: ControllerConfig, draft: Draft): YamlMap[] | "everyone" {
  const where = titleOf(ingress);
  const list = (name: string) => controller.of(ingress, name, (text) => rangesIn(name, text, where, draft));
  // The older name is an alias of the newer one.
  const allowed = list("allowlist-source-range") ?? list("whitelist-source-range");
  const denied = list("denylist-source-range");
  if (allowed === undefined && denied === undefined) return [];
  draft.note(
    where,
    "address lists became a `fault` with status 403, by the client's address: behind a load balancer list it in `trustedProxies`, or its own address counts",
  );
  if (allowed?.length === 0 || denied?.length === 0) return "everyone";
  return [
    ...(denied === undefined ? [] : [{ clientAddress: { cidr: denied } }]),
    ...(allowed === undefined ? [] : [{ not: { clientAddress: { cidr: allowed } } }]),
  ];
}

function rangesIn(name: string, text: string, where: string, draft: Draft): readonly string[] | undefined {
  const written = text.split(/[\s,]+/).filter(Boolean);
  if (written.length === 0) return undefined;
  const ranges = written.filter((one) => parseAddressRange(one) !== undefined);
  const unknown = written.filter((one) => !ranges.includes(one));
  if (unknown.length > 0) {
    draft.note(where, `${name}: ${unknown.join(", ")} is not an address: left out`, lossOf(name.startsWith("deny")));
  }
  return ranges;
}
