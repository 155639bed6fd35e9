import { type Draft, lossOf } from "../draft.ts";
import { type Manifest, titleOf } from "../manifests.ts";
import { protective, takeAnnotation } from "./ingress-annotations.ts";

/** Keys of the ConfigMap that have no effect on what requests get. */
const irrelevant =
  /^(?:log-|access-log|error-log|enable-access-log|disable-access-log|http-access-log|stream-access-log|enable-opentelemetry|opentelemetry|otel|otlp|enable-opentracing|jaeger|zipkin|datadog|worker-|max-worker|bind-address|reuse-port|server-tokens|variables-hash|map-hash|server-name-hash|proxy-headers-hash|upstream-keepalive|keep-alive|enable-multi-accept|enable-brotli|brotli|use-gzip|gzip|lua-shared-dicts|nginx-status|disable-ipv6|allow-snippet-annotations|annotations-risk-level|strict-validate-path-type|generate-request-id|skip-access-log)/;

/** Settings that a ConfigMap of the controller may have. One of them tells it from other ConfigMaps. */
const known =
  /^(?:proxy-(?:body-size|read-timeout|send-timeout|connect-timeout|buffer|next-upstream|protocol|real-ip|set-headers|redirect)|ssl-|hsts|use-|force-ssl-redirect|no-tls-redirect|client-(?:header|body)|keep-alive|large-client-header|worker-|server-|http-|whitelist-|denylist-|block-|limit-|custom-http-errors|global-auth|allow-snippet|annotations-risk|log-format|enable-|load-balance|compute-full|forwarded-for|upstream-keepalive)/;

/**
 * Settings that hardly any other ConfigMap has. Two of them tell that of the controller where neither its name nor its
 * namespace does.
 */
const telling =
  /^(?:whitelist-source-range|denylist-source-range|block-(?:cidrs|user-agents|referers)|global-auth-[a-z-]+|global-rate-limit-[a-z-]+|no-auth-locations|no-tls-redirect-locations|(?:force-)?ssl-redirect|ssl-(?:protocols|ciphers|dh-param|ecdh-curve|reject-handshake)|hsts(?:-max-age|-include-subdomains|-preload)?|enable-(?:modsecurity|owasp-modsecurity-crs|real-ip|underscores-in-headers)|modsecurity-snippet|(?:main|http|server|location)-snippet|allow-snippet-annotations|annotations-risk-level|proxy-(?:body-size|buffer-size|buffers-number|read-timeout|send-timeout|connect-timeout|next-upstream(?:-tries|-timeout)?|set-headers|real-ip-cidr|cookie-domain)|use-(?:forwarded-headers|proxy-protocol|gzip)|compute-full-forwarded-for|forwarded-for-header|upstream-keepalive-[a-z]+|custom-http-errors|limit-(?:req|conn)-[a-z-]+|log-format-upstream|large-client-header-buffers|client-body-buffer-size)$/;

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
    const named = all.filter((map) => isNamed(map) && map.data.keys().some((key) => known.test(key)));
    const others = all.filter((map) => !isNamed(map));
    const told = others.filter((map) => tellingKeys(map).length > 1);
    const maps = [...named, ...told];
    this.#map = maps[0];
    if (named.length === 0 && this.#map !== undefined) {
      const keys = tellingKeys(this.#map).join(", ");
      draft.note(titleOf(this.#map), `taken for the ConfigMap of ingress-nginx, as it has ${keys}`);
    }
    for (const map of others) {
      const [key, ...more] = tellingKeys(map);
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
    for (const key of this.#map.data.unread().filter((one) => !irrelevant.test(one))) {
      draft.note(titleOf(this.#map), `${key}: ${advice[key] ?? "not imported"}`, lossOf(protective.test(key)));
    }
  }
}

function tellingKeys({ data }: Manifest): readonly string[] {
  return data.keys().filter((key) => telling.test(key));
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
