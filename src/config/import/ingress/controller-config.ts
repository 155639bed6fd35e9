import { type Draft, lossOf } from "../draft.ts";
import { type Manifest, titleOf } from "../manifests.ts";
import { isDistinctive, isIrrelevant, isSetting } from "./controller-settings.ts";
import { protective, takeAnnotation } from "./ingress-annotations.ts";

/** Settings of all Ingresses, from the ConfigMap of the controller, if it is in the input. */
export class ControllerConfig {
  readonly #map: Manifest | undefined;

  /**
   * It has no fixed name: `ingress-nginx-controller`, `nginx-configuration` and others with `nginx` are usual. Without
   * one, its settings tell it.
   */
  constructor(manifests: readonly Manifest[], draft: Draft) {
    const all = manifests.filter(({ kind, group }) => kind === "ConfigMap" && group === "");
    const isNamed = ({ name, namespace }: Manifest) => name.includes("nginx") || namespace.includes("nginx");
    const named = all.filter((map) => isNamed(map) && map.data.keys().some(isSetting));
    const others = all.filter((map) => !isNamed(map));
    const recognisedBySettings = others.filter((map) => distinctiveKeys(map).length > 1);
    const maps = [...named, ...recognisedBySettings];
    this.#map = maps[0];
    if (named.length === 0 && this.#map !== undefined) {
      const keys = distinctiveKeys(this.#map).join(", ");
      draft.note(titleOf(this.#map), `taken for the ConfigMap of ingress-nginx, as it has ${keys}`);
    }
    for (const map of others) {
      const [key, ...more] = distinctiveKeys(map);
      if (key === undefined || more.length > 0 || !protective.test(key)) continue;
      draft.noteLostProtection(
        titleOf(map),
        `${key}: not imported; if this is the ConfigMap of ingress-nginx, it protected all Ingresses: name it ingress-nginx-controller in the input`,
      );
    }
    for (const other of maps.slice(1)) {
      const message = "its settings are left out: another ConfigMap is taken for that of the controller";
      draft.note(titleOf(other), message, lossOf(other.data.keys().some((key) => protective.test(key))));
    }
  }

  take<T>(name: string, parse: (text: string) => T | undefined): T | undefined {
    return this.#map?.data.take(name, (text) => parse(text.trim()));
  }

  /** The setting of an Ingress, or else that of the controller. */
  of<T>(ingress: Manifest, name: string, parse: (text: string) => T | undefined): T | undefined {
    return takeAnnotation(ingress, name, parse) ?? this.take(name, parse);
  }

  /** Names every setting that was not imported. */
  noteTheRest(draft: Draft): void {
    if (this.#map === undefined) return;
    for (const key of this.#map.data.unread().filter((one) => !isIrrelevant(one))) {
      draft.note(titleOf(this.#map), `${key}: ${advice[key] ?? "not imported"}`, lossOf(protective.test(key)));
    }
  }
}

function distinctiveKeys({ data }: Manifest): readonly string[] {
  return data.keys().filter(isDistinctive);
}

const trusted = "list the proxies in front in `trustedProxies`";

const advice: Readonly<Record<string, string>> = {
  "custom-http-errors": "no equivalent: upstream errors pass through unchanged, so that a failing canary is visible",
  "forwarded-for-header": trusted,
  "proxy-real-ip-cidr": trusted,
  "use-forwarded-headers": trusted,
  "use-proxy-protocol": "set `proxyProtocol: true` on the listener, and list the proxies in front in `trustedProxies`",
  "ssl-protocols": "set `tls.minVersion` on the listener",
};
