import type { CompiledConfig } from "../config/compiled-config.ts";
import type { Condition } from "../decide/condition.ts";
import { defaultPropagationHeader } from "../decide/release-spec.ts";
import { isForwardingHeader } from "../http/forwarded.ts";
import { connectionOptions, FieldKinds } from "../http/header-fields.ts";
import { foldedName, forwardingFields, isRequestFraming, requestHopByHop, traceFields } from "../http/header-names.ts";
import { mirrorHeader } from "./mirror.ts";

/** What is done with a request header before it goes upstream. */
export type RequestHeaderAction =
  | "keep"
  /** Removed: hop-by-hop, or an override or propagation header. */
  | "drop"
  /** Removed, and written by Perch. */
  | "managed"
  /** Cookie: forwarded without Perch's own cookies. */
  | "cookie"
  /** Rewritten as one line, without entries of releases that the caller may not propagate. */
  | "baggage"
  /** Forwarded only from a trusted caller. */
  | "trusted-only"
  /** Connection: names further hop-by-hop headers. */
  | "connection";

const managed = ["host", ...forwardingFields];

/** The action for each request header by its name. Built once per snapshot. */
export class RequestHeaderRules {
  readonly #actions = new Map<string, RequestHeaderAction>();
  /** `Connection` must not remove these: routing, identifying or deciding relies on them (CVE-2026-33805). */
  readonly #relied = new Set<string>([
    "cookie",
    "content-length",
    "authorization",
    "baggage",
    mirrorHeader,
    ...traceFields,
    ...managed,
  ]);
  readonly #kinds = new FieldKinds<RequestHeaderAction>((name) => this.#actionOf(name));

  constructor(config: CompiledConfig) {
    for (const name of requestHopByHop) this.#actions.set(name, "drop");
    for (const name of managed) this.#actions.set(name, "managed");
    this.#actions.set("cookie", "cookie");
    this.#actions.set("connection", "connection");
    // An upstream may skip side effects for mirrored requests, so untrusted callers must not send this.
    this.#actions.set(mirrorHeader, "trusted-only");
    this.#actions.set("baggage", "baggage");
    // Also without releases here: a Perch further upstream may accept this header from this one.
    this.#reserve(defaultPropagationHeader);
    // With tracing, Perch writes its own trace context; without, the received one is forwarded unchanged.
    if (config.tracing !== undefined) for (const name of traceFields) this.#actions.set(name, "managed");
    for (const source of config.attributes.flatMap(({ from }) => from)) {
      if (source.kind !== "header") continue;
      this.#relied.add(source.name);
      if (source.trust === "proxies") this.#actions.set(source.name, "trusted-only");
    }
    if (config.jwt?.from.kind === "header") this.#relied.add(config.jwt.from.name);
    for (const release of config.releases) {
      if (release.override?.header !== undefined) this.#actions.set(release.override.header, "drop");
      if (release.propagate !== undefined) this.#reserve(release.propagate.header.name);
      for (const rule of release.rules) this.#relyOn(rule.when);
    }
    for (const route of config.routes) for (const header of route.match.headers) this.#relied.add(header.name);
  }

  action(name: string): RequestHeaderAction {
    return this.#kinds.of(name);
  }

  /** The headers that this Connection value removes. */
  removedBy(connection: string): readonly string[] {
    return connectionOptions(connection).filter((option) => !this.#relied.has(option));
  }

  /** A header that only Perch may send. */
  #reserve(name: string): void {
    this.#actions.set(name, "drop");
    this.#relied.add(name);
  }

  #actionOf(name: string): RequestHeaderAction {
    const action = this.#actions.get(name);
    if (action !== undefined) return action;
    const folded = foldedName(name);
    const isLookAlike = folded !== name;
    // No sender has an honest use for these, and a trusted proxy may pass on what its client sent.
    if (isLookAlike && isRequestFraming(folded)) return "drop";
    // Other X-Forwarded-* headers are forwarded only from trusted callers, and so are names that an upstream may read as
    // a header that Perch writes or withholds.
    const isReserved = isForwardingHeader(folded) || (isLookAlike && this.#actions.has(folded));
    return isReserved ? "trusted-only" : "keep";
  }

  #relyOn(condition: Condition): void {
    if (condition.kind === "all" || condition.kind === "any") for (const part of condition.of) this.#relyOn(part);
    else if (condition.kind === "not") this.#relyOn(condition.of);
    else if (condition.kind === "test" && condition.subject.kind === "header") this.#relied.add(condition.subject.name);
  }
}
