import { certificateOf, type Draft, type YamlMap, type YamlValue } from "../draft.ts";
import { type Manifest, titleOf } from "../manifests.ts";
import { maxRetryAttempts, maxTimeoutMs } from "../perch-limits.ts";
import type { ControllerConfig } from "./controller-config.ts";
import { hasAffinity } from "./ingress-affinity.ts";
import { dismissAnnotations, positive, takeAnnotation } from "./ingress-annotations.ts";

/** The service settings for an Ingress's annotations. Where Perch has other defaults, those of nginx are written. */
export function serviceSettings(ingress: Manifest, controller: ControllerConfig, draft: Draft): YamlMap {
  const protocol = takeAnnotation(ingress, "backend-protocol", protocolOf);
  return {
    ...timeouts(ingress, controller),
    ...balance(ingress, controller, draft),
    ...(protocol?.http2 === true ? { protocol: "http2" } : {}),
    ...(protocol?.scheme === "https" ? { tls: upstreamTls(ingress, draft) } : {}),
    ...retries(ingress, controller, draft),
  };
}

/** nginx verifies certificates only with proxy-ssl-verify and a Secret, without which it ignores `proxy-ssl-…`. */
function upstreamTls(ingress: Manifest, draft: Draft): YamlMap {
  const where = titleOf(ingress);
  const secret = takeAnnotation(ingress, "proxy-ssl-secret", (text) =>
    /^[\w.-]+\/[\w.-]+$/.test(text) ? text : undefined,
  );
  if (secret === undefined) {
    draft.note(where, "the backends' certificates are not verified, as by ingress-nginx: set `tls.ca` to verify them");
    return { insecureSkipVerify: true };
  }
  const isVerified = takeAnnotation(ingress, "proxy-ssl-verify", onOrOff) === true;
  const serverName = takeAnnotation(ingress, "proxy-ssl-name", (text) =>
    /^[\w-]+(?:\.[\w-]+)*$/.test(text) ? text : undefined,
  );
  // Perch always sends the name. The depth of a chain is not limited.
  dismissAnnotations(ingress, "proxy-ssl-server-name", "proxy-ssl-verify-depth");
  const [namespace = "", name = ""] = secret.split("/");
  const { folder, caFile, certFile, keyFile } = certificateOf(namespace, name);
  draft.note(
    where,
    `proxy-ssl-secret: mount the Secret ${secret} at ${folder}; without tls.crt in it, remove cert and key`,
  );
  return {
    ...(isVerified ? { ca: caFile } : {}),
    cert: certFile,
    key: keyFile,
    ...(serverName === undefined ? {} : { serverName }),
    insecureSkipVerify: !isVerified,
  };
}

function onOrOff(text: string): boolean | undefined {
  return /^(?:on|off)$/.test(text) ? text === "on" : undefined;
}

export function schemeOf(ingress: Manifest, draft: Draft): "http" | "https" {
  const scheme = takeAnnotation(ingress, "backend-protocol", protocolOf)?.scheme;
  if (scheme !== undefined) return scheme;
  const other = takeAnnotation(ingress, "backend-protocol", (text) => text || undefined);
  if (other !== undefined) {
    draft.note(titleOf(ingress), `backend-protocol ${other.toUpperCase()} is not supported: http is used instead`);
  }
  return "http";
}

function protocolOf(text: string): { readonly scheme: "http" | "https"; readonly http2: boolean } | undefined {
  const [, name, secure] = /^(HTTP|AUTO_HTTP|GRPC)(S?)$/i.exec(text) ?? [];
  if (name === undefined || /^AUTO_HTTPS$/i.test(text)) return undefined;
  return { scheme: secure === "" ? "http" : "https", http2: /^GRPC$/i.test(name) };
}

/** In seconds, as in nginx. */
const defaultTimeouts = { connect: 5, read: 60, send: 60 };

function timeouts(ingress: Manifest, controller: ControllerConfig): YamlMap {
  const seconds = (name: string) => {
    const found = controller.of(ingress, name, (text) => positive(text.replace(/s$/, "")));
    return found === undefined ? undefined : Math.min(found, maxTimeoutMs / 1_000);
  };
  const connect = seconds("proxy-connect-timeout") ?? defaultTimeouts.connect;
  const read = seconds("proxy-read-timeout") ?? defaultTimeouts.read;
  const send = seconds("proxy-send-timeout") ?? defaultTimeouts.send;
  return {
    timeouts: { connect: `${connect}s`, responseHeaders: `${read}s`, idle: `${Math.max(read, send)}s` },
  };
}

function balance(ingress: Manifest, controller: ControllerConfig, draft: Draft): YamlMap {
  if (hasAffinity(ingress)) return { balance: "hash" };
  const isAddress = (text: string) => (/^\$\{?(?:binary_)?remote_addr\}?$/.test(text) ? text : undefined);
  if (takeAnnotation(ingress, "upstream-hash-by", isAddress) !== undefined) {
    const pods = "to choose among Pods, use a headless Service as `{ dns: … }`";
    const unit = "with a release, by its unit (`sticky.by: clientAddress`)";
    draft.note(titleOf(ingress), `upstream-hash-by is \`balance: hash\`, by the client's address; ${unit}; ${pods}`);
    return { balance: "hash" };
  }
  const roundRobin = controller.of(ingress, "load-balance", (text) => (text === "round_robin" ? text : undefined));
  return roundRobin === undefined ? {} : { balance: "round-robin" };
}

/** nginx's own: `error timeout`, of which Perch retries connections only, in three tries. */
const defaults = { causes: ["error"], tries: 3 };
const causes: ReadonlyMap<string, readonly (string | number)[]> = new Map([
  ["error", ["reset-before-response"]],
  ["http_500", [500]],
  ["http_502", [502]],
  ["http_503", [503]],
  ["http_504", [504]],
]);

function retries(ingress: Manifest, controller: ControllerConfig, draft: Draft): YamlMap {
  const written = controller.of(ingress, "proxy-next-upstream", (text) => text.split(/\s+/));
  const tries = controller.of(ingress, "proxy-next-upstream-tries", (text) =>
    /^\d+$/.test(text) ? Number(text) : undefined,
  );
  if (written?.includes("off") === true || tries === 1) return { retries: { attempts: 0 } };
  const where = titleOf(ingress);
  const words = written ?? defaults.causes;
  const others = words.filter((word) => word !== "" && !causes.has(word));
  if (others.length > 0) draft.note(where, `proxy-next-upstream ${others.join(" ")}: no equivalent${whyNot(others)}`);
  // nginx: without a limit each endpoint is tried.
  const attempts = tries === undefined ? defaults.tries - 1 : tries === 0 ? maxRetryAttempts : tries - 1;
  if (tries === 0 || attempts > maxRetryAttempts)
    draft.note(where, `proxy-next-upstream-tries: at most ${maxRetryAttempts + 1}`);
  const on: readonly YamlValue[] = ["connect-failure", ...words.flatMap((word) => causes.get(word) ?? [])];
  return { retries: { attempts: Math.min(attempts, maxRetryAttempts), on } };
}

function whyNot(words: readonly string[]): string {
  return words.includes("timeout") ? "; a connection that times out is retried, a late response is not" : "";
}
