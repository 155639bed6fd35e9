import { headerName } from "../../scalars.ts";
import { accepts } from "../accepts.ts";
import { type Draft, isYamlMap, lossOf, type YamlMap, type YamlValue } from "../draft.ts";
import { durationIn, millisecondsIn } from "../durations.ts";
import { type Manifest, titleOf } from "../manifests.ts";
import { maxRetryAttempts } from "../perch-limits.ts";
import type { SourceObject } from "../source-object.ts";
import { headerSettings } from "./header-middleware.ts";
import {
  type PathChange,
  type PathProblem,
  prefixed,
  replaced,
  replacedByPattern,
  stripped,
  strippedByPattern,
} from "./path-changes.ts";
import { type PartialRedirect, patternRedirect, schemeRedirect } from "./redirect-middleware.ts";

/** What the middlewares of a route do. */
export interface MiddlewareEffects {
  /** Keys of the route. */
  readonly settings: Readonly<Record<string, YamlValue>>;
  readonly path: PathChange;
  /** Prefixes that are stripped, which Traefik names in X-Forwarded-Prefix. */
  readonly prefixes: readonly string[];
  /** Whether prefixes are stripped by a pattern. */
  readonly stripsByPattern: boolean;
  readonly redirects: readonly PartialRedirect[];
  /** What protected the route and is not imported, to be noted with it. */
  readonly lost: readonly string[];
  /** `retries` of the service. */
  readonly retries: YamlMap;
  /** The rate limit in `settings`, and the middleware that it is of. */
  readonly limit: { readonly limit: RateLimit; readonly title: string } | undefined;
  /** The Host header for the upstream; empty if it stays. */
  readonly host: string;
  /** Why the route cannot be imported: its requests would go where they did not. */
  readonly problem: string | undefined;
}

interface RateLimit {
  readonly requests: number;
  readonly per: string;
  readonly burst: number;
  /** An attribute; undefined: the client's address. */
  readonly by?: string;
}

type Writable = { -readonly [key in keyof MiddlewareEffects]: MiddlewareEffects[key] };

/** Middlewares that let only some requests pass. */
const protecting: ReadonlyMap<string, string> = new Map([
  ["basicAuth", "requests needed a user's password"],
  ["digestAuth", "requests needed a user's password"],
  ["forwardAuth", "another service decided which requests pass"],
  ["ipAllowList", "only some addresses were allowed"],
  ["ipWhiteList", "only some addresses were allowed"],
  [
    "inFlightReq",
    "the number of concurrent requests was limited; `limits.maxInFlight` of the service does so for all clients",
  ],
  ["plugin", "a plugin may check requests"],
  [
    "passTLSClientCert",
    "the service got the client's certificate; here clients may send X-Forwarded-Tls-Client-Cert themselves, so remove it",
  ],
]);

const withoutEquivalent: ReadonlyMap<string, string> = new Map([
  ["circuitBreaker", "see `outlier` of the service"],
  ["compress", "Perch does not compress: let the service do it"],
  ["errors", "answers pass unchanged"],
  ["grpcWeb", "Perch does not translate gRPC-Web"],
]);

/** Chains that refer to others several times grow fast. */
const maxMiddlewares = 1_000;

/** The middlewares of one route, as they are applied. */
interface Application {
  readonly where: string;
  readonly effects: Writable;
  count: number;
}

export class Middlewares {
  readonly #byName: ReadonlyMap<string, Manifest>;
  readonly #draft: Draft;

  constructor(manifests: readonly Manifest[], draft: Draft) {
    const all = manifests.filter(({ kind }) => kind === "Middleware");
    // Another provider, or a file, names it namespace-name@kubernetescrd.
    this.#byName = new Map(
      all.flatMap((one): [string, Manifest][] => [
        [`${one.namespace}/${one.name}`, one],
        [`${one.namespace}-${one.name}@kubernetescrd`, one],
      ]),
    );
    this.#draft = draft;
  }

  /** The effects of the middlewares that a route of the object refers to, in their order. */
  effects(references: readonly SourceObject[], namespace: string, where: string): MiddlewareEffects {
    const effects: Writable = {
      settings: {},
      path: { kind: "none" },
      prefixes: [],
      stripsByPattern: false,
      redirects: [],
      lost: [],
      retries: {},
      limit: undefined,
      host: "",
      problem: undefined,
    };
    this.#apply(references, namespace, { where, effects, count: 0 }, []);
    return effects;
  }

  /** `above`: the middlewares whose chains led here. */
  #apply(references: readonly SourceObject[], namespace: string, to: Application, above: readonly Manifest[]): void {
    const { effects } = to;
    for (const reference of references) {
      const name = reference.text("name");
      const ownNamespace = reference.text("namespace") || namespace;
      const found = this.#byName.get(name) ?? this.#byName.get(`${ownNamespace}/${name}`);
      if (found === undefined) {
        const what = `the middleware ${name.includes("@") ? name : `${ownNamespace}/${name}`}`;
        effects.lost = [...effects.lost, `${what} is not in the input; it may protect the route`];
        continue;
      }
      to.count++;
      // Traefik has no such route either.
      if (above.includes(found)) effects.problem = `${titleOf(found)}: this chain refers to itself`;
      else if (to.count > maxMiddlewares) effects.problem = `it has more than ${maxMiddlewares} middlewares`;
      else for (const type of found.spec.keys()) this.#applyOne(type, found, to, above);
      if (to.count <= maxMiddlewares) continue;
      for (const one of references) one.dismiss();
      return;
    }
  }

  #applyOne(type: string, manifest: Manifest, to: Application, above: readonly Manifest[]): void {
    const { where, effects } = to;
    const { spec, namespace } = manifest;
    const title = titleOf(manifest);
    const middleware = spec.object(type);
    const lost = protecting.get(type);
    const advice = withoutEquivalent.get(type);
    if (lost !== undefined || advice !== undefined) {
      if (lost !== undefined) effects.lost = [...effects.lost, `${type} of ${title}: ${lost}`];
      else this.#draft.note(where, `${type} of ${title}: ${advice}`);
      spec.dismiss(type);
      return;
    }
    const before = effects.path;
    const path = this.#changePath(type, middleware, effects);
    if (path !== undefined) {
      if ("problem" in path) effects.problem = `${title}: ${path.problem}`;
      else effects.path = path;
      // Traefik tells the service the path before, as it does with prefixes.
      if (/^replacePath/.test(type) && before.kind === "none") {
        effects.settings = mergedSettings(effects.settings, { requestHeaders: { set: replacedPath } });
      }
      if (path !== before && "kind" in path && path.kind === "pattern") this.#noteOneMatch(path.pattern, title);
    } else if (type === "chain") {
      this.#apply(middleware.objects("middlewares"), namespace, to, [...above, manifest]);
    } else if (type === "redirectScheme" || type === "redirectRegex") {
      const redirect = type === "redirectScheme" ? schemeRedirect(middleware) : patternRedirect(middleware);
      if ("problem" in redirect) effects.problem = `${title}: ${redirect.problem}`;
      else effects.redirects = [...effects.redirects, redirect];
    } else if (type === "headers") {
      const { settings, host } = headerSettings(middleware, title, this.#draft);
      effects.settings = mergedSettings(effects.settings, settings);
      if (host !== "") effects.host = host;
    } else if (type === "rateLimit") {
      this.#limit(rateLimit(middleware, title, this.#draft), title, where, effects);
    } else if (type === "retry") {
      effects.retries = retry(middleware, title, this.#draft);
    } else if (type === "buffering") {
      const maxBodySize = middleware.number("maxRequestBodyBytes") ?? 0;
      if (maxBodySize > 0) effects.settings = { ...effects.settings, maxBodySize };
    } else if (type === "contentType") {
      spec.dismiss(type);
    } else {
      effects.lost = [...effects.lost, `${type} of ${title}: no equivalent; it may protect the route`];
      spec.dismiss(type);
    }
  }

  #noteOneMatch(pattern: string, title: string): void {
    if (/^\^|\.\*\)?\$?$|\$$/.test(pattern)) return;
    this.#draft.note(title, `replacePathRegex: here the first match of ${pattern} is replaced, not every one`);
  }

  /** A route has one limit: the lower rate. */
  #limit(limit: RateLimit | undefined, title: string, where: string, effects: Writable): void {
    if (limit === undefined) return;
    const known = effects.limit;
    const [kept, other] =
      known === undefined || isStricter(limit, known.limit) ? [{ limit, title }, known] : [known, { limit, title }];
    effects.limit = kept;
    effects.settings = { ...effects.settings, rateLimit: { ...kept.limit } };
    if (other === undefined) return;
    const { requests, per, burst } = other.limit;
    this.#draft.note(
      where,
      `rateLimit of ${other.title}: a route has one limit, the stricter, which is that of ${kept.title}; this one is left out: ${requests} per ${per}, burst ${burst}`,
      lossOf(burst < kept.limit.burst),
    );
  }

  /** The change of the path; undefined if the middleware is of another type. */
  #changePath(type: string, middleware: SourceObject, effects: Writable): PathChange | PathProblem | undefined {
    switch (type) {
      case "stripPrefix":
        effects.prefixes = [...effects.prefixes, ...middleware.texts("prefixes")];
        return stripped(middleware, effects.path);
      case "stripPrefixRegex":
        effects.stripsByPattern = true;
        return strippedByPattern(middleware, effects.path);
      case "addPrefix":
        return prefixed(middleware, effects.path);
      case "replacePath":
        return replaced(middleware);
      case "replacePathRegex":
        return replacedByPattern(middleware, effects.path);
      default:
        return undefined;
    }
  }
}

const replacedPath: YamlMap = { "x-replaced-path": `\${path}` };

/** Edits of headers by several middlewares: the later one wins, and of responses the first, which sees them last. */
function mergedSettings(a: YamlMap, b: YamlMap): YamlMap {
  const merged: Record<string, YamlValue> = { ...a };
  for (const [key, value] of Object.entries(b)) {
    const known = merged[key];
    const isEdits = isYamlMap(known) && isYamlMap(value) && key !== "cors";
    if (!isEdits) merged[key] = value;
    else merged[key] = key === "responseHeaders" ? mergedEdits(value, known) : mergedEdits(known, value);
  }
  return merged;
}

/** `b` wins. Names are in lower case. */
function mergedEdits(a: YamlMap, b: YamlMap): YamlMap {
  const actions = new Map<string, YamlValue | undefined>();
  for (const { set, remove } of [a, b]) {
    for (const name of Array.isArray(remove) ? remove : []) actions.set(name, undefined);
    for (const [name, value] of isYamlMap(set) ? Object.entries(set) : []) actions.set(name, value);
  }
  const set = [...actions].flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]));
  const remove = [...actions].filter(([, value]) => value === undefined).map(([name]) => name);
  return {
    ...(set.length === 0 ? {} : { set: Object.fromEntries(set) }),
    ...(remove.length === 0 ? {} : { remove }),
  };
}

function rateLimit(middleware: SourceObject, where: string, draft: Draft): RateLimit | undefined {
  const requests = middleware.number("average") ?? 0;
  if (requests <= 0) {
    middleware.dismiss();
    return undefined;
  }
  const per = middleware.take("period", (text) => (/^\d+$/.test(text) ? `${text}s` : durationIn(text) || undefined));
  const burst = middleware.number("burst") ?? 1;
  const criterion = middleware.object("sourceCriterion");
  const header = criterion.text("requestHeaderName").toLowerCase();
  const isByHeader = accepts(headerName, header) && criterion.keys().length === 1;
  if (middleware.has("sourceCriterion") && !isByHeader) {
    const by = criterion.keys().join(", ");
    draft.note(where, `rateLimit: it counted by ${by}; here it counts by the client's address`);
  }
  middleware.dismiss("sourceCriterion", "redis");
  const limit = { requests, per: per ?? "1s", burst: Math.max(1, burst) };
  return isByHeader ? { by: draft.attribute({ header }), ...limit } : limit;
}

/** Whether a limit allows fewer requests in the long run; at the same rate, fewer at once. */
function isStricter(a: RateLimit, b: RateLimit): boolean {
  const rate = ({ requests, per }: RateLimit) => requests / (millisecondsIn(per) ?? 1);
  return rate(a) < rate(b) || (rate(a) === rate(b) && a.burst < b.burst);
}

/** Traefik counts the first attempt, and retries what did not reach the service. */
function retry(middleware: SourceObject, where: string, draft: Draft): YamlMap {
  const attempts = Math.max(0, (middleware.number("attempts") ?? 1) - 1);
  if (middleware.has("initialInterval")) {
    draft.note(
      where,
      "retry.initialInterval: no equivalent; Perch retries at once, on another endpoint if there is one",
    );
    middleware.dismiss("initialInterval");
  }
  if (attempts > maxRetryAttempts) draft.note(where, `retry.attempts: the maximum is ${maxRetryAttempts + 1}`);
  return {
    retries: { attempts: Math.min(attempts, maxRetryAttempts), on: ["connect-failure", "reset-before-response"] },
  };
}
