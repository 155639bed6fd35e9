import type { CompiledConfig } from "../config/compiled-config.ts";
import type { Condition } from "../decide/condition.ts";
import { defaultPropagationHeader } from "../decide/release-spec.ts";
import { isForwardingHeader } from "../http/forwarded.ts";
import { connectionOptions, FieldKinds } from "../http/header-fields.ts";
import { forwardingFields, requestHopByHop, traceFields } from "../http/header-names.ts";
import { mirrorHeader } from "./mirror.ts";

/** What becomes of a request header on its way upstream. */
export type RequestHeaderAction =
  | "keep"
  /** Hop-by-hop, or a name that only Perch and its testers use: never sent on. */
  | "drop"
  /** Perch writes this one itself, from what it derived. */
  | "managed"
  /** Cookie: sent on without Perch's own cookies. */
  | "cookie"
  /** Written anew, joined, without what may not be said of releases. */
  | "baggage"
  /** Sent on only from a trusted caller. */
  | "trusted-only"
  /** Connection: names further headers that are hop-by-hop. */
  | "connection";

const managed = ["host", ...forwardingFields];

/** Decides by name what is done to each request header; prepared once a snapshot. */
export class RequestHeaderRules {
  readonly #actions = new Map<string, RequestHeaderAction>();
  /** Names that `Connection` can not remove, since routing, identifying or deciding relies on them (CVE-2026-33805). */
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
    // An upstream may leave undone what a copy asks for; nobody else may tell it to.
    this.#actions.set(mirrorHeader, "trusted-only");
    this.#actions.set("baggage", "baggage");
    // Whatever is configured here: a Perch further on may honour what comes from this one.
    this.#takeOut(defaultPropagationHeader);
    // A part in a trace is Perch's to say anew; without one of its own, what came passes.
    if (config.tracing !== undefined) for (const name of traceFields) this.#actions.set(name, "managed");
    for (const source of config.attributes.flatMap(({ from }) => from)) {
      if (source.kind !== "header") continue;
      this.#relied.add(source.name);
      if (source.trust === "proxies") this.#actions.set(source.name, "trusted-only");
    }
    if (config.jwt?.from.kind === "header") this.#relied.add(config.jwt.from.name);
    for (const release of config.releases) {
      if (release.override?.header !== undefined) this.#actions.set(release.override.header, "drop");
      if (release.propagate !== undefined) this.#takeOut(release.propagate.header.name);
      for (const rule of release.rules) this.#relyOn(rule.when);
    }
    for (const route of config.routes) for (const header of route.match.headers) this.#relied.add(header.name);
  }

  /** A header that Perch writes itself, where it is sent at all. */
  #takeOut(name: string): void {
    this.#actions.set(name, "drop");
    this.#relied.add(name);
  }

  #actionOf(name: string): RequestHeaderAction {
    const action = this.#actions.get(name);
    if (action !== undefined) return action;
    // Any X-Forwarded-… that Perch does not write itself passes from a trusted caller, and from nobody else. So does a
    // look-alike: CGI, WSGI, Rack and PHP read `X_Forwarded_For` as the name that it imitates.
    const imitated = name.replaceAll("_", "-");
    const withheld = isForwardingHeader(imitated) || (imitated !== name && this.#actions.has(imitated));
    return withheld ? "trusted-only" : "keep";
  }

  action(name: string): RequestHeaderAction {
    return this.#kinds.of(name);
  }

  /** Which fields this Connection field takes away. */
  removedBy(connection: string): readonly string[] {
    return connectionOptions(connection).filter((option) => !this.#relied.has(option));
  }

  #relyOn(condition: Condition): void {
    if (condition.kind === "all" || condition.kind === "any") for (const part of condition.of) this.#relyOn(part);
    else if (condition.kind === "not") this.#relyOn(condition.of);
    else if (condition.kind === "test" && condition.subject.kind === "header") this.#relied.add(condition.subject.name);
  }
}
