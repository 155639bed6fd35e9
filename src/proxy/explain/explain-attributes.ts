import type { AttributeValue } from "../../decide/facts.ts";
import { timeForms } from "../../decide/time.ts";
import { findCookie } from "../../http/cookies.ts";
import { parseQuery } from "../../http/query.ts";
import { type Caller, type RequestHead, repeated } from "../../http/request-head.ts";
import type { AttributeErrorCause, TokenFailure } from "../../identify/attribute-error.ts";
import { type AttributeSource, type AttributeSpec, AttributeTable } from "../../identify/attributes.ts";
import type { GeoField } from "../../identify/geo-database.ts";
import { RequestFacts, tokenText } from "../../identify/request-facts.ts";
import { type PlainValue, plainValue } from "../route-transforms.ts";
import type { Snapshot } from "../snapshot.ts";

export interface ExplainedAttribute {
  readonly name: string;
  /** Null if no source gave a value. */
  readonly found: { readonly value: PlainValue; readonly source: string } | null;
  /** The result of each source that was read, in order. */
  readonly detail: string;
}

/**
 * Explains for every attribute which source gave its value, and why the sources before it did not. Each source is read as
 * if it were a separate attribute, by the same code as in the proxy. Changes no metric.
 */
export function explainAttributes(
  snapshot: Snapshot,
  head: RequestHead,
  caller: Caller,
  nowMs: number,
): ExplainedAttribute[] {
  const { attributes } = snapshot.config;
  const sources = new Sources(snapshot, head, caller, nowMs);
  let next = 0;
  return attributes.map(({ name, type, from }) => {
    const misses: string[] = [];
    const first = next;
    next += from.length;
    for (const [at, source] of from.entries()) {
      const value = sources.value(first + at);
      if (value !== undefined) return found(name, plainValue(type, value), sourceName(source), misses);
      misses.push(`${sourceName(source)}: ${sources.whyNot(first + at, source, type)}`);
    }
    return { name, found: null, detail: `${name} is unknown (${misses.join("; ")})` };
  });
}

function found(name: string, value: PlainValue, source: string, misses: readonly string[]): ExplainedAttribute {
  const text = `${name} is ${shown(String(value))}, from ${source}`;
  return { name, found: { value, source }, detail: misses.length === 0 ? text : `${text} (${misses.join("; ")})` };
}

/** Reads the sources of all attributes, by their index in the flattened list. */
class Sources {
  readonly #head: RequestHead;
  readonly #caller: Caller;
  readonly #table: AttributeTable;
  readonly #facts: RequestFacts;
  readonly #errors = new Map<number, AttributeErrorCause>();

  constructor({ config, attributes: { lookups } }: Snapshot, head: RequestHead, caller: Caller, nowMs: number) {
    const { attributes, trustedProxies } = config;
    const single = attributes.flatMap((spec) => spec.from.map((source) => ({ ...spec, from: [source] })));
    this.#head = head;
    this.#caller = caller;
    const errors = {
      attributeError: (index: number, cause: AttributeErrorCause) => void this.#errors.set(index, cause),
      patternSkipped: () => undefined,
    };
    this.#table = new AttributeTable(single, errors, lookups);
    this.#facts = new RequestFacts(this.#table, head, caller, trustedProxies, nowMs);
  }

  value(index: number): AttributeValue | undefined {
    return this.#facts.attribute(index);
  }

  whyNot(index: number, source: AttributeSource, type: AttributeSpec["type"]): string {
    if (source.kind === "clientAddress") return "unknown";
    if (source.kind === "jwt") return this.#whyNoClaim(index, type);
    if (source.kind === "geo") return this.#whyNoPlace(index, source.field, type);
    const sent = this.#sent(source);
    if (sent === undefined) return "absent";
    if (sent === "") return "empty, treated as absent";
    if (!this.#caller.trusted && this.#isReserved(source)) {
      // On the command line a request has no caller unless one is named.
      const hint = this.#caller.address === undefined ? ": name one with --client (API: client=)" : "";
      return `ignored, accepted only from a caller in trustedProxies${hint}`;
    }
    if (sent === repeated || this.#errors.get(index) === "repeated") {
      return "sent more than once, treated as absent";
    }
    return `${shown(sent)} cannot be parsed as ${described(type)}`;
  }

  #whyNoClaim(index: number, type: AttributeSpec["type"]): string {
    const { jwt } = this.#table.lookups;
    if (jwt === undefined || tokenText(this.#head, jwt.from) === undefined) return "the request carries no token";
    const cause = this.#errors.get(index);
    if (cause === undefined) return "the token has no such claim";
    if (cause === "unparsable" || cause === "geo-unreadable") return `the claim cannot be parsed as ${described(type)}`;
    return tokenFailureText[cause];
  }

  #whyNoPlace(index: number, field: GeoField, type: AttributeSpec["type"]): string {
    const cause = this.#errors.get(index);
    if (cause === "geo-unreadable") return "the database record of the client's address cannot be read";
    return cause === undefined
      ? `the database has no ${field} for the client's address`
      : `it cannot be parsed as ${type}`;
  }

  #sent({ kind, name }: NamedSource): string | undefined | typeof repeated {
    if (kind === "header") return this.#head.header(name);
    if (kind === "query") return parseQuery(this.#head.query).get(name);
    return this.#head.cookies === undefined ? undefined : findCookie(this.#head.cookies, name);
  }

  #isReserved({ kind, name }: NamedSource): boolean {
    const { untrustedHeaders, untrustedCookies, untrustedQuery } = this.#table;
    return { header: untrustedHeaders, cookie: untrustedCookies, query: untrustedQuery }[kind].has(name);
  }
}

type NamedSource = Extract<AttributeSource, { readonly name: string }>;

/** Descriptions of the causes, which are metric labels. */
const tokenFailureText: Readonly<Record<TokenFailure | "repeated", string>> = {
  repeated: "the token was sent more than once",
  "jwt-oversized": "the token is too long",
  "jwt-malformed": "the token is malformed",
  "jwt-algorithm": "the token's algorithm is not allowed",
  "jwt-key": "no known key matches the token",
  "jwt-signature": "the token's signature does not verify with its key",
  "jwt-expired": "the token has expired",
  "jwt-not-yet-valid": "the token is not valid yet",
  "jwt-issuer": "the token's issuer does not match",
  "jwt-audience": "the token's audience does not match",
};

function sourceName(source: AttributeSource): string {
  if (source.kind === "clientAddress") return "the client's address";
  if (source.kind === "geo") return `${source.field} of the client's address`;
  return source.kind === "jwt" ? `claim ${source.path.join(" › ")}` : `${source.kind} ${source.name}`;
}

const described = (type: AttributeSpec["type"]): string => (type === "time" ? `time; write ${timeForms}` : type);

const maxShownLength = 80;

function shown(text: string): string {
  return JSON.stringify(text.length > maxShownLength ? `${text.slice(0, maxShownLength)}…` : text);
}
