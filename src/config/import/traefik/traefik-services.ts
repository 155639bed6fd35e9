import { certificateOf, type Draft, pinName, type YamlMap, type YamlValue } from "../draft.ts";
import { durationIn } from "../durations.ts";
import { type Manifest, titleOf } from "../manifests.ts";
import { perRequestWeights } from "../notes.ts";
import { longestTimeout } from "../perch-limits.ts";
import type { ServicePorts } from "../service-ports.ts";
import { SourceObject } from "../source-object.ts";
import type { WeightedBackend } from "../weighted-versions.ts";

/** Where the requests of a route go. */
export interface TraefikTarget {
  readonly backends: readonly WeightedBackend[];
  /** Settings of the service. */
  readonly settings: YamlMap;
  /** Settings of the release. */
  readonly release: YamlMap;
  /** Whether the upstream gets its own name as Host, not the client's. */
  readonly ownHost: boolean;
  /** The titles of the TraefikServices between the route and its Services. */
  readonly objects: readonly string[];
}

interface Problem {
  readonly problem: string;
}

/** One Service as a part of a target. */
interface Leaf {
  readonly backend: WeightedBackend;
  readonly scheme: string;
  readonly skipsVerification: boolean;
  readonly serverName: string;
  /** A file of certificates that are trusted instead of the system's; empty if there is none. */
  readonly ca: string;
  readonly ownHost: boolean;
  readonly settings: YamlMap;
}

interface Resolved {
  readonly leaves: readonly Leaf[];
  readonly sticky: SourceObject | undefined;
  /** The titles of the TraefikServices on the way. */
  readonly objects: readonly string[];
}

/** Deeper TraefikServices are refused, so that none exhausts the stack. */
const maxDepth = 50;
/** Services that refer to others several times grow fast. */
const maxLeaves = 1_000;

/** Traefik waits for an answer as long as the client does. */
const timeouts: YamlMap = { connect: "30s", responseHeaders: longestTimeout, idle: longestTimeout };

export class TraefikServices {
  readonly #objects: ReadonlyMap<string, Manifest>;
  /** ServersTransports as other namespaces name them: namespace-name. */
  readonly #transports: ReadonlyMap<string, Manifest>;
  readonly #ports: ServicePorts;
  readonly #draft: Draft;
  /** Whether the certificates of services without a ServersTransport are not verified. */
  readonly #skipsVerification: boolean;

  constructor(
    manifests: readonly Manifest[],
    ports: ServicePorts,
    { skipsVerification, draft }: { readonly skipsVerification: boolean; readonly draft: Draft },
  ) {
    this.#skipsVerification = skipsVerification;
    this.#objects = new Map(manifests.map((one) => [`${one.kind} ${one.namespace}/${one.name}`, one]));
    const transports = manifests.filter(({ kind }) => kind === "ServersTransport");
    this.#transports = new Map(transports.map((one) => [`${one.namespace}-${one.name}`, one]));
    this.#ports = ports;
    this.#draft = draft;
  }

  /** The target of the `services` of a route; several share its requests by weight. */
  target(services: readonly SourceObject[], namespace: string, where: string): TraefikTarget | Problem {
    const found = this.#weighted(services, namespace, where, []);
    if ("problem" in found) return found;
    const { sticky } = found;
    const leaves = this.#withOneMirror(found.leaves, where);
    const backends = leaves.map(({ backend }) => backend);
    if (backends.length === 0) return { problem: "it has no services" };
    if (backends.every(({ weight }) => weight <= 0)) return { problem: "it has no service with a weight" };
    const served = backends.filter(({ weight }) => weight > 0);
    if (served.length > 1 && sticky === undefined) this.#draft.note(where, perRequestWeights);
    return {
      backends,
      settings: this.#settings(leaves, where),
      release: sticky === undefined || served.length < 2 ? {} : { sticky: stickyOf(sticky) },
      ownHost: leaves.every(({ ownHost }) => ownHost),
      objects: found.objects,
    };
  }

  #withOneMirror(leaves: readonly Leaf[], where: string): readonly Leaf[] {
    const [first, ...others] = leaves.filter(({ backend }) => backend.mirrorPercent !== undefined);
    if (first === undefined || others.length === 0) return leaves;
    const names = others.map(({ backend }) => backend.name).join(", ");
    this.#draft.note(where, `mirroring: a release mirrors to one version only; not to ${names}`);
    return leaves.filter((leaf) => !others.includes(leaf));
  }

  /** `above`: the TraefikServices that led here. */
  #weighted(
    refs: readonly SourceObject[],
    namespace: string,
    where: string,
    above: readonly Manifest[],
  ): Resolved | Problem {
    const leaves: Leaf[] = [];
    const objects = new Set<string>();
    let sticky: SourceObject | undefined;
    // The weight of a route's only service means nothing to Traefik; one in a TraefikService does.
    const isOnly = refs.length === 1 && (above.length === 0 || refs[0]?.peek("weight") !== 0);
    const whole = refs.reduce((sum, ref) => sum + Math.max(0, ref.number("weight") ?? 1), 0);
    for (const ref of refs) {
      const weight = Math.max(0, ref.number("weight") ?? 1);
      const found = this.#resolve(ref, namespace, where, above);
      if ("problem" in found) return found;
      if (leaves.length + found.leaves.length > maxLeaves) return { problem: `it has more than ${maxLeaves} services` };
      sticky ??= found.sticky;
      for (const title of found.objects) objects.add(title);
      const total = found.leaves.reduce((sum, { backend }) => sum + backend.weight, 0);
      for (const leaf of found.leaves) {
        const share = total === 0 || isOnly ? leaf.backend.weight : (weight * leaf.backend.weight) / total;
        const part = refs.length === 1 || whole === 0 ? 1 : Math.max(0, weight) / whole;
        const backend = this.#mirrorOfPart(leaf.backend, part, where);
        if (backend !== undefined)
          leaves.push({ ...leaf, backend: { ...backend, weight: Math.round(share * 1e6) / 1e6 } });
      }
    }
    return { leaves, sticky, objects: [...objects] };
  }

  /** A release mirrors a share of all its requests: one of a part of them is smaller. Undefined if nothing is left. */
  #mirrorOfPart(backend: WeightedBackend, part: number, where: string): WeightedBackend | undefined {
    const { mirrorPercent, name } = backend;
    if (mirrorPercent === undefined || part === 1) return backend;
    const scaled = Math.round(mirrorPercent * part * 1e4) / 1e4;
    if (scaled === 0) return undefined;
    const what = `${mirrorPercent} % of the requests of one of several services were mirrored to ${name}`;
    this.#draft.note(where, `mirroring: ${what}; here ${scaled} % of all requests are, as many, but of all services`);
    return { ...backend, mirrorPercent: scaled };
  }

  #resolve(ref: SourceObject, namespace: string, where: string, above: readonly Manifest[]): Resolved | Problem {
    const kind = ref.text("kind") || "Service";
    const name = ref.text("name");
    const ownNamespace = ref.text("namespace") || namespace;
    if (kind === "Service" && !name.includes("@")) return this.#leaf(ref, name, ownNamespace, where);
    const object = this.#objects.get(`TraefikService ${ownNamespace}/${name}`);
    if (name.endsWith("@internal")) {
      ref.dismiss();
      return { problem: `its service ${name} is Traefik's own` };
    }
    if (kind !== "TraefikService" || object === undefined) {
      ref.dismiss();
      return { problem: `its service, the ${kind} ${name}, is not in the input` };
    }
    if (above.includes(object)) return { problem: `its service, the ${titleOf(object)}, refers to itself` };
    if (above.length > maxDepth) return { problem: `its service, the ${titleOf(object)}, is nested too deeply` };
    const { spec } = object;
    const found = spec.has("weighted")
      ? this.#weightedObject(spec.object("weighted"), above, object)
      : spec.has("mirroring")
        ? this.#mirroring(spec.object("mirroring"), above, object)
        : undefined;
    if (found !== undefined) {
      return "problem" in found ? found : { ...found, objects: [titleOf(object), ...found.objects] };
    }
    const [type = "nothing"] = spec.keys();
    spec.dismiss();
    return { problem: `${titleOf(object)} is of type ${type}, which has no equivalent` };
  }

  #weightedObject(weighted: SourceObject, above: readonly Manifest[], object: Manifest): Resolved | Problem {
    const { namespace } = object;
    const found = this.#weighted(weighted.objects("services"), namespace, titleOf(object), [...above, object]);
    if ("problem" in found) return found;
    return { ...found, sticky: weighted.has("sticky") ? weighted.object("sticky") : found.sticky };
  }

  /** A Service that only gets mirrored requests becomes a version with weight zero. */
  #mirroring(mirroring: SourceObject, above: readonly Manifest[], object: Manifest): Resolved | Problem {
    const where = titleOf(object);
    const { namespace } = object;
    const path = [...above, object];
    const main = this.#resolve(mirroring, namespace, where, path);
    if ("problem" in main) return main;
    const all = mirroring.objects("mirrors");
    // Without a percentage a mirror gets nothing.
    const active = all.filter((one) => (one.number("percent") ?? 0) > 0);
    const [mirror] = active;
    for (const other of all.filter((one) => one !== mirror)) other.dismiss();
    const others = active.slice(1).map((one) => one.peek("name"));
    if (others.length > 0) {
      this.#draft.note(where, `mirroring: a release mirrors to one version only; not to ${others.join(", ")}`);
    }
    if (mirror === undefined) return main;
    const mirrorPercent = mirror.number("percent") ?? 0;
    const copy = this.#resolve(mirror, namespace, where, path);
    const [leaf] = "problem" in copy ? [] : copy.leaves;
    if (leaf === undefined || ("leaves" in copy && copy.leaves.length > 1)) {
      this.#draft.note(where, "mirroring: a mirror that is not one Service has no equivalent: left out");
      return main;
    }
    return { ...main, leaves: [...main.leaves, { ...leaf, backend: { ...leaf.backend, weight: 0, mirrorPercent } }] };
  }

  #leaf(ref: SourceObject, name: string, namespace: string, where: string): Resolved | Problem {
    const number = ref.number("port");
    const portName = number === undefined ? ref.text("port") : this.#ports.portName(namespace, name, number);
    const isHttps = number === 443 || portName.startsWith("https");
    const written = ref.text("scheme") || (isHttps ? "https" : "http");
    if (!/^(?:https?|h2c)$/.test(written)) return { problem: `its service ${name} has the scheme ${written}` };
    if (ref.has("sticky")) {
      const how = "use a headless Service and `balance: hash`";
      this.#draft.note(where, `sticky of the Service ${name} kept a client on one Pod: not imported; ${how}`);
      ref.dismiss("sticky");
    }
    // How Traefik reaches the Pods, which a Service does for Perch.
    ref.dismiss("nativeLB", "nodePortLB", "responseForwarding");
    const port = number ?? new SourceObject({ name: portName });
    const inCluster = this.#ports.origin(written === "https" ? "https" : "http", namespace, name, port, where);
    const external = this.#ports.externalName(namespace, name);
    const origin = external === "" ? inCluster : inCluster.replace(`//${name}.${namespace}:`, () => `//${external}:`);
    const transport = this.#transport(ref.text("serversTransport"), namespace, where);
    const leaf = {
      backend: { name, origin, weight: 1 },
      scheme: written,
      skipsVerification: ref.has("serversTransport")
        ? transport.flag("insecureSkipVerify") === true
        : this.#skipsVerification,
      serverName: transport.text("serverName"),
      ca: this.#ca(transport, namespace, where),
      ownHost: ref.flag("passHostHeader") === false,
      settings: { ...balanceOf(ref), ...healthOf(ref), timeouts: { ...timeouts, ...timeoutsOf(transport) } },
    };
    return { leaves: [leaf], sticky: undefined, objects: [] };
  }

  /** The spec of a ServersTransport; empty if none is named, or it is not in the input, which is noted. */
  #transport(name: string, namespace: string, where: string): SourceObject {
    if (name === "") return new SourceObject({});
    const bare = name.replace(/@kubernetescrd$/, "");
    const found = this.#objects.get(`ServersTransport ${namespace}/${bare}`) ?? this.#transports.get(bare);
    if (found === undefined) this.#draft.note(where, `the ServersTransport ${namespace}/${name} is not in the input`);
    return found?.spec ?? new SourceObject({});
  }

  /** The file of a Secret or ConfigMap with root certificates; empty if there is none. */
  #ca(transport: SourceObject, namespace: string, where: string): string {
    const named = transport.objects("rootCAs").map((one) => one.text("secret") || one.text("configMap"));
    const [secret, ...others] = [...transport.texts("rootCAsSecrets"), ...named];
    if (secret === undefined) return "";
    if (others.length > 0) {
      const what = `the root certificates of ${[secret, ...others].join(", ")}: put all into one file`;
      this.#draft.note(where, `${what}, and set \`tls.ca\` of the service`);
      return "";
    }
    return certificateOf(namespace, secret).caFile;
  }

  /** A service of Perch has one setting for all its versions. */
  #settings(leaves: readonly Leaf[], where: string): YamlMap {
    const all: Record<string, YamlValue> = Object.assign({}, ...leaves.map(({ settings }) => settings));
    const secure = leaves.filter(({ scheme }) => scheme === "https");
    const skipping = secure.filter(({ skipsVerification }) => skipsVerification);
    const [serverName = "", ...otherNames] = new Set(secure.map((leaf) => leaf.serverName));
    if (skipping.length > 0 && skipping.length < secure.length) {
      const names = skipping.map(({ backend }) => backend.name).join(", ");
      this.#draft.note(where, `the certificate of ${names} was not verified; here it is, as those of the others are`);
    }
    if (otherNames.length > 0) this.#draft.note(where, "serverName of one of several services: left out");
    const [ca = "", ...otherCas] = new Set(secure.map((leaf) => leaf.ca));
    if (otherCas.length > 0) this.#draft.note(where, "certificates that one of several services trusted: left out");
    const tls = {
      ...(ca === "" || otherCas.length > 0 ? {} : { ca }),
      ...(secure.length > 0 && skipping.length === secure.length ? { insecureSkipVerify: true } : {}),
      ...(serverName === "" || otherNames.length > 0 ? {} : { serverName }),
    };
    const http2 = leaves.filter(({ scheme }) => scheme === "h2c");
    if (http2.length > 0 && http2.length < leaves.length) {
      this.#draft.note(where, "h2c of one of several services: all get HTTP/1.1, or set `protocol: http2` for all");
    }
    return {
      ...all,
      ...(Object.keys(tls).length === 0 ? {} : { tls }),
      ...(http2.length > 0 && http2.length === leaves.length ? { protocol: "http2" } : {}),
    };
  }
}

const balances: ReadonlyMap<string, string> = new Map([
  ["wrr", "round-robin"],
  ["roundrobin", "round-robin"],
  ["p2c", "p2c"],
]);

function balanceOf(ref: SourceObject): YamlMap {
  const balance = ref.take("strategy", (text) => balances.get(text.toLowerCase()));
  return balance === undefined ? {} : { balance };
}

function healthOf(ref: SourceObject): YamlMap {
  const check = ref.object("healthCheck");
  const path = check.text("path");
  if (path === "") return {};
  const interval = check.take("interval", secondsOrDuration);
  const timeout = check.take("timeout", secondsOrDuration);
  return {
    health: {
      path,
      ...(interval === undefined ? {} : { interval }),
      ...(timeout === undefined ? {} : { timeout }),
    },
  };
}

function timeoutsOf(transport: SourceObject): YamlMap {
  const written = transport.object("forwardingTimeouts");
  const connect = written.take("dialTimeout", secondsOrDuration);
  const responseHeaders = written.take("responseHeaderTimeout", secondsOrDuration);
  return {
    ...(connect === undefined ? {} : { connect }),
    ...(responseHeaders === undefined ? {} : { responseHeaders }),
  };
}

/** A number is of seconds. Undefined for zero, which is no limit. */
function secondsOrDuration(text: string): string | undefined {
  return durationIn(/^\d+$/.test(text) ? `${text}s` : text) || undefined;
}

/** Traefik keeps a client on its version until that is gone, or has no weight. */
function stickyOf(sticky: SourceObject): YamlMap {
  const cookie = sticky.object("cookie");
  cookie.dismiss("httpOnly");
  const name = cookie.take("name", pinName);
  const maxAge = cookie.number("maxAge") ?? 0;
  const isSecure = cookie.flag("secure") === true;
  const sameSite = cookie.take("sameSite", (text) =>
    /^(?:lax|strict)$/i.test(text) || (/^none$/i.test(text) && isSecure) ? text.toLowerCase() : undefined,
  );
  const path = cookie.text("path");
  const domain = cookie.text("domain");
  return {
    whenWeightsChange: "hold",
    onWeightZero: "evict",
    cookie: {
      ...(name === undefined ? {} : { name }),
      maxAge: maxAge > 0 ? `${maxAge}s` : "session",
      ...(isSecure ? { secure: "always" } : {}),
      ...(sameSite === undefined ? {} : { sameSite }),
      ...(path === "" ? {} : { path }),
      ...(domain === "" ? {} : { domain }),
    },
  };
}
