import type { Draft, YamlMap, YamlValue } from "../draft.ts";
import { type Manifest, titleOf } from "../manifests.ts";
import { positive, takeAnnotation } from "./ingress-annotations.ts";

/** The service settings for an Ingress's annotations. */
export function serviceSettings(ingress: Manifest, draft: Draft): YamlMap {
  const http2 = takeAnnotation(ingress, "backend-protocol", protocolOf)?.http2 === true;
  return {
    ...timeouts(ingress),
    ...balance(ingress, draft),
    ...(http2 ? { protocol: "http2" } : {}),
    ...retries(ingress, draft),
  };
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

function timeouts(ingress: Manifest): YamlMap {
  const seconds = (name: string) => takeAnnotation(ingress, name, (text) => positive(text.replace(/s$/, "")));
  const connect = seconds("proxy-connect-timeout");
  const read = seconds("proxy-read-timeout");
  const idle = Math.max(read ?? 0, seconds("proxy-send-timeout") ?? 0);
  const found = {
    ...(connect === undefined ? {} : { connect: `${connect}s` }),
    ...(read === undefined ? {} : { responseHeaders: `${read}s` }),
    ...(idle > 0 ? { idle: `${idle}s` } : {}),
  };
  return Object.keys(found).length === 0 ? {} : { timeouts: found };
}

function balance(ingress: Manifest, draft: Draft): YamlMap {
  const isAddress = (text: string) => (/^\$\{?(?:binary_)?remote_addr\}?$/.test(text) ? text : undefined);
  if (takeAnnotation(ingress, "upstream-hash-by", isAddress) !== undefined) {
    const pods = "to choose among Pods, use a headless Service as `{ dns: … }`";
    const unit = "with a release, by its unit (`sticky.by: clientAddress`)";
    draft.note(titleOf(ingress), `upstream-hash-by is \`balance: hash\`, by the client's address; ${unit}; ${pods}`);
    return { balance: "hash" };
  }
  const roundRobin = takeAnnotation(ingress, "load-balance", (text) => (text === "round_robin" ? text : undefined));
  return roundRobin === undefined ? {} : { balance: "round-robin" };
}

const maxAttempts = 10;
/** nginx's own: `error timeout` in three tries. */
const defaults = { causes: ["error", "timeout"], tries: 3 };
const causes: ReadonlyMap<string, readonly (string | number)[]> = new Map([
  ["error", ["reset-before-response"]],
  ["http_500", [500]],
  ["http_502", [502]],
  ["http_503", [503]],
  ["http_504", [504]],
]);

function retries(ingress: Manifest, draft: Draft): YamlMap {
  const written = takeAnnotation(ingress, "proxy-next-upstream", (text) => text.split(/\s+/));
  const tries = takeAnnotation(ingress, "proxy-next-upstream-tries", (text) =>
    /^\d+$/.test(text) ? Number(text) : undefined,
  );
  if (written === undefined && tries === undefined) return {};
  if (written?.includes("off") === true || tries === 1) return { retries: { attempts: 0 } };
  const where = titleOf(ingress);
  const words = written ?? defaults.causes;
  const others = words.filter((word) => word !== "" && !causes.has(word));
  if (others.length > 0) draft.note(where, `proxy-next-upstream ${others.join(" ")}: no equivalent${whyNot(others)}`);
  // nginx: without a limit each endpoint is tried.
  const attempts = tries === undefined ? defaults.tries - 1 : tries === 0 ? maxAttempts : tries - 1;
  if (tries === 0 || attempts > maxAttempts) draft.note(where, `proxy-next-upstream-tries: at most ${maxAttempts + 1}`);
  const on: readonly YamlValue[] = ["connect-failure", ...words.flatMap((word) => causes.get(word) ?? [])];
  return { retries: { attempts: Math.min(attempts, maxAttempts), on } };
}

function whyNot(words: readonly string[]): string {
  return words.includes("timeout") ? "; a connection that times out is retried, a late response is not" : "";
}
