import { cookieName, cookiePath, headerName, queryName } from "../../scalars.ts";
import { accepts } from "../accepts.ts";
import type { Draft, YamlMap } from "../draft.ts";
import { durationIn, timeLimitIn } from "../durations.ts";
import type { Manifest } from "../manifests.ts";
import { SourceObject } from "../source-object.ts";

const sections = ["loadBalancer", "outlierDetection", "connectionPool", "tls"] as const;

/** The parts of a traffic policy that hold for a destination; empty ones are not set. */
export type PolicySections = Readonly<Record<(typeof sections)[number], SourceObject>>;

const empty = new SourceObject(undefined);

/**
 * A subset's policy replaces the rule's, section by section. The settings of a port replace all of them: what they leave
 * out is the default.
 */
export function sectionsOf(rules: readonly Manifest[], subset: string, port: number | undefined): PolicySections {
  const policies = rules.filter(({ spec }) => spec.has("trafficPolicy")).slice(0, 1);
  const named = rules.flatMap(({ spec }) => spec.objects("subsets")).filter((one) => one.peek("name") === subset);
  const ofSubset = named.filter((one) => one.has("trafficPolicy")).slice(0, 1);
  let found: PolicySections = { loadBalancer: empty, outlierDetection: empty, connectionPool: empty, tls: empty };
  for (const owner of [...policies.map(({ spec }) => spec), ...ofSubset]) {
    const policy = owner.object("trafficPolicy");
    const ofPort = policy.objects("portLevelSettings").find((one) => one.object("port").peek("number") === port);
    ofPort?.dismiss("port");
    for (const section of sections) {
      if (ofPort !== undefined) found = { ...found, [section]: ofPort.object(section) };
      else if (policy.has(section)) found = { ...found, [section]: policy.object(section) };
    }
  }
  return found;
}

/** TLS that Perch can speak to the upstream. That of the mesh it cannot. */
export function schemeOf(tls: SourceObject): "http" | "https" {
  const mode = tls.peek("mode");
  return mode === "SIMPLE" || mode === "MUTUAL" ? "https" : "http";
}

/** A service's settings for a policy. */
export function policySettings(policy: PolicySections, where: string, draft: Draft): YamlMap {
  const pool = connectionPool(policy.connectionPool, where, draft);
  if (policy.loadBalancer.keys().length + policy.outlierDetection.keys().length > 0) {
    const how = "for its Pods use a headless Service (`clusterIP: None`) as `{ dns: …, port: … }`";
    draft.note(where, `Perch balances among endpoints, and ejects them, and a Service is one: ${how}`);
  }
  return {
    ...balance(policy.loadBalancer),
    ...outlier(policy.outlierDetection, where, draft),
    ...pool,
    ...upstreamTls(policy.tls, where, draft),
  };
}

function upstreamTls(tls: SourceObject, where: string, draft: Draft): YamlMap {
  const mode = tls.text("mode");
  if (schemeOf(tls) === "http") {
    if (mode !== "" && mode !== "DISABLE") {
      const how = "the mesh's certificates are not Perch's; use https endpoints, and set `tls` on the service";
      draft.noteLostProtection(where, `trafficPolicy.tls (${mode}) is not imported: ${how}`);
    }
    tls.dismiss();
    return {};
  }
  const serverName = tls.text("sni");
  const skips = tls.flag("insecureSkipVerify") === true;
  noteFiles(tls, mode, where, draft);
  return {
    ...(serverName === "" && !skips
      ? {}
      : { tls: { ...(serverName === "" ? {} : { serverName }), ...(skips ? { insecureSkipVerify: true } : {}) } }),
  };
}

/** Files of certificates, which have to be mounted before a configuration can name them. */
function noteFiles(tls: SourceObject, mode: string, where: string, draft: Draft): void {
  const secret = tls.text("credentialName");
  const ca = tls.text("caCertificates") || (secret === "" ? "" : `ca.crt of the Secret ${secret}`);
  const client = secret === "" ? `${tls.text("clientCertificate")}, ${tls.text("privateKey")}` : `the Secret ${secret}`;
  if (ca === "" && tls.peek("insecureSkipVerify") !== true) {
    draft.note(
      where,
      `${tls.path}: the server's certificate has to be of a CA that the system knows; else set \`tls.ca\``,
    );
  }
  if (ca !== "") draft.note(where, `${tls.path}: mount ${ca}, and set \`tls.ca\` of the service to it`);
  if (mode === "MUTUAL") {
    draft.note(where, `${tls.path}: mount ${client}, and set \`tls.cert\` and \`tls.key\` of the service to it`);
  }
  if (tls.has("subjectAltNames")) {
    const what = `${tls.path}.subjectAltNames: not imported: set \`tls.serverName\` to the name it must have`;
    draft.noteLostProtection(where, what);
    tls.dismiss("subjectAltNames");
  }
}

function outlier(detection: SourceObject, where: string, draft: Draft): YamlMap {
  if (detection.keys().length === 0) return {};
  openSection(detection, "consecutive5xxErrors");
  const positive = (key: string) => detection.take(key, (text) => (Number(text) >= 1 ? Number(text) : undefined));
  const ofAll = detection.number("consecutive5xxErrors");
  // The former name, which counted errors of the gateway.
  const gateway = ofAll === undefined || ofAll === 0 ? firstOf(positive, gatewayErrors) : undefined;
  if (ofAll === 0 && gateway === undefined) {
    draft.note(where, "outlierDetection with consecutive5xxErrors 0 is not imported");
    detection.dismiss();
    return {};
  }
  const ejectFor = detection.take("baseEjectionTime", durationIn) ?? "";
  const percent = positive("maxEjectionPercent") ?? defaultEjectionPercent;
  return {
    outlier: {
      consecutiveFailures: gateway ?? ofAll ?? 5,
      ...(gateway === undefined ? {} : { failures: "gateway" }),
      ...(ejectFor === "" ? {} : { ejectFor }),
      maxEjected: `${percent}%`,
    },
  };
}

const gatewayErrors = ["consecutiveGatewayErrors", "consecutiveErrors"];
const defaultEjectionPercent = 10;

function firstOf<T>(read: (key: string) => T | undefined, keys: readonly string[]): T | undefined {
  for (const key of keys) {
    const value = read(key);
    if (value !== undefined) return value;
  }
  return undefined;
}

/** Counts a section as read even if nothing in it is known, so that its keys are named one by one. */
function openSection(section: SourceObject, known: string): void {
  if (!section.has(known)) section.dismiss(known);
}

function connectionPool(pool: SourceObject, where: string, draft: Draft): YamlMap {
  const tcp = pool.object("tcp");
  const http = pool.object("http");
  openSection(tcp, "maxConnections");
  openSection(http, "maxRequestsPerConnection");
  const maxConnections = tcp.number("maxConnections");
  const maxInFlight = http.number("http2MaxRequests");
  const maxPending = http.number("http1MaxPendingRequests");
  if (maxPending !== undefined && maxInFlight === undefined) {
    draft.note(where, "http1MaxPendingRequests without http2MaxRequests: no equivalent");
  }
  const maxRequestsPerConnection = http.number("maxRequestsPerConnection");
  const connect = tcp.take("connectTimeout", timeLimitIn) ?? "";
  const keepAlive = http.take("idleTimeout", timeLimitIn) ?? "";
  const upgrades = http.take("h2UpgradePolicy", (text) => (text === "DEFAULT" ? "" : text)) ?? "";
  const limits: YamlMap = {
    ...(maxConnections === undefined ? {} : { maxConnections }),
    ...(maxInFlight === undefined ? {} : { maxInFlight }),
    ...(maxPending === undefined || maxInFlight === undefined ? {} : { maxPending }),
    ...(maxRequestsPerConnection === undefined ? {} : { maxRequestsPerConnection }),
  };
  const timeouts = { ...(connect === "" ? {} : { connect }), ...(keepAlive === "" ? {} : { keepAlive }) };
  return {
    ...(upgrades === "UPGRADE" ? { protocol: "http2" } : {}),
    ...(Object.keys(limits).length === 0 ? {} : { limits }),
    ...(Object.keys(timeouts).length === 0 ? {} : { timeouts }),
  };
}

function balance(balancer: SourceObject): YamlMap {
  openSection(balancer, "simple");
  if (balancer.has("consistentHash")) return { balance: "hash" };
  const found = balancer.take("simple", (text) => balances.get(text));
  return found === undefined ? {} : { balance: found };
}

/**
 * The release of a service with `balance: hash`, whose unit is what Istio hashes. Empty for the client's address, which
 * is the unit of requests without a release.
 */
export function hashedRelease(balancer: SourceObject, draft: Draft): YamlMap {
  const hash = balancer.object("consistentHash");
  hash.flag("useSourceIp");
  const header = hash.take("httpHeaderName", (text) => (accepts(headerName, text) ? text.toLowerCase() : undefined));
  if (header !== undefined) return { sticky: { by: draft.attribute({ header }) } };
  const query = hash.take("httpQueryParameterName", (text) => (accepts(queryName, text) ? text : undefined));
  if (query !== undefined) return { sticky: { by: draft.attribute({ query }) } };
  const cookie = hash.object("httpCookie");
  const name = cookie.take("name", (text) => (accepts(cookieName, text) ? text : undefined));
  if (name === undefined) return {};
  // With a time to live the gateway sets the cookie itself, as Perch does with its pin.
  const ttl = cookie.take("ttl", durationIn);
  if (ttl === undefined) return { sticky: { by: draft.attribute({ cookie: name }) } };
  const path = cookie.take("path", (text) => (accepts(cookiePath, text) ? text : undefined));
  return { sticky: { cookie: { maxAge: ttl || "session", ...(path === undefined ? {} : { path }) } } };
}

const balances: ReadonlyMap<string, string> = new Map([
  ["ROUND_ROBIN", "round-robin"],
  ["LEAST_REQUEST", "least-in-flight"],
  ["LEAST_CONN", "least-in-flight"],
]);
