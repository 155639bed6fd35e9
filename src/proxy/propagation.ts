import type { Decision, Trail } from "../decide/decision.ts";
import type { AddressRange } from "../decide/ip-address.ts";
import type { PropagationHeader, PropagationSpec, ReleaseSpec } from "../decide/release-spec.ts";
import { baggageMember, baggageVersion, mergeBaggage } from "../http/baggage.ts";
import { receivedLines } from "../http/forwarded.ts";
import type { Caller, RequestHead } from "../http/request-head.ts";

/** A request that is forwarded to a service. */
export interface PropagatedRequest {
  readonly head: Pick<RequestHead, "header" | "headerLines">;
  readonly caller: Caller;
  readonly service: { readonly name: string; readonly external: boolean };
  /** The route's release; undefined if it has none. */
  readonly release: string | undefined;
  readonly decision: Pick<Decision, "version"> | undefined;
}

export const noFields: readonly string[] = Object.freeze([]);
const keepsNone = (): boolean => false;

/**
 * Writes the versions of releases that go upstream: the one assigned here, and those of other releases that a caller in
 * `acceptFrom` sent. What other callers sent is removed. Built once per snapshot.
 */
export class Propagation {
  readonly #specs: ReadonlyMap<string, PropagationSpec>;
  /** Without duplicates: several releases may share a header. */
  readonly #headers: readonly PropagationHeader[];
  readonly #acceptFrom: readonly AddressRange[];

  constructor(releases: readonly Pick<ReleaseSpec, "name" | "propagate">[]) {
    const specs = releases.flatMap(({ name, propagate }): [string, PropagationSpec][] =>
      propagate === undefined ? [] : [[name, propagate]],
    );
    this.#specs = new Map(specs);
    this.#headers = [...new Map(specs.map(([, { header }]) => [header.name, header])).values()];
    this.#acceptFrom = specs.flatMap(([, { acceptFrom }]) => acceptFrom);
  }

  /** Whether no release propagates, so that only requests with baggage need work. */
  get isIdle(): boolean {
    return this.#headers.length === 0;
  }

  /** The fields to send, flat: name, value. `baggage`: the received lines, joined by commas. */
  fields(request: PropagatedRequest, baggage: string | undefined): readonly string[] {
    if (this.isIdle && baggage === undefined) return noFields;
    const out: string[] = [];
    const { decision, release, service } = request;
    const sentVersion =
      decision === undefined || release === undefined || service.external ? undefined : decision.version;
    const spec = sentVersion === undefined ? undefined : this.#specs.get(release ?? "");
    if (!service.external) this.#addHeaders(request, spec, out);
    const own = spec?.baggage && release !== undefined ? baggageMember(release, sentVersion ?? "") : undefined;
    const merged = mergeBaggage(baggage, service.external ? keepsNone : this.#keeps(request, spec), own);
    if (merged !== undefined) out.push("baggage", merged);
    return out;
  }

  #addHeaders(request: PropagatedRequest, own: PropagationSpec | undefined, out: string[]): void {
    for (const header of this.#headers) {
      const isOwn = own?.header.name === header.name;
      const value =
        header.format === "releases"
          ? this.#releasesValue(request, header, isOwn)
          : this.#versionValue(request, isOwn ? own.header : undefined, header.name);
      if (value !== "") out.push(header.name, value);
    }
  }

  #releasesValue(request: PropagatedRequest, { name }: PropagationHeader, isOwn: boolean): string {
    const { release = "", decision } = request;
    const entries: [string, string][] = isOwn ? [[release, this.#word(release, decision?.version ?? "")]] : [];
    const lines = this.#acceptsFrom(request) ? receivedLines(request.head, name) : undefined;
    if (lines !== undefined) {
      const keeps = this.#keeps(request, isOwn ? this.#specs.get(release) : undefined);
      for (const entry of parseReleaseEntries(lines)) if (keeps(entry[0])) entries.push(entry);
    }
    return formatReleaseEntries(entries);
  }

  /** A single-version header: the version assigned here, else what an accepted caller sent. */
  #versionValue(request: PropagatedRequest, own: PropagationHeader | undefined, name: string): string {
    const line = this.#acceptsFrom(request) ? request.head.header(name) : undefined;
    const received = typeof line === "string" ? line : "";
    if (own === undefined) return received;
    const { service, release = "", decision } = request;
    const word = this.#word(release, decision?.version ?? "");
    const map = received.startsWith("{") ? readWordMap(received) : undefined;
    if (map === undefined) return word;
    if (map.get(service.name) === word) return received;
    return JSON.stringify(Object.fromEntries(new Map(map).set(service.name, word)));
  }

  #word(release: string, version: string): string {
    const { words = [] } = this.#specs.get(release)?.header ?? {};
    return words.find((known) => known.version === version)?.word ?? version;
  }

  /** Whether any release accepts versions from this caller. */
  #acceptsFrom({ caller }: PropagatedRequest): boolean {
    return this.#acceptFrom.length > 0 && mayPropagate({ acceptFrom: this.#acceptFrom }, caller);
  }

  /** Whether a received entry of a release is sent on. The entry written here replaces the received one. */
  #keeps(request: PropagatedRequest, own: PropagationSpec | undefined): (release: string) => boolean {
    if (!this.#acceptsFrom(request)) return keepsNone;
    return (release) => {
      if (own !== undefined && release === request.release) return false;
      const spec = this.#specs.get(release);
      return spec === undefined || mayPropagate(spec, request.caller);
    };
  }
}

type Lines = Pick<RequestHead, "header" | "headerLines">;

/** The version that a caller in `acceptFrom` sent for this release, in the header, else in the baggage. */
export function receivedVersion(
  { name, propagate }: ReleaseSpec,
  service: string,
  head: Lines,
  caller: Caller,
  trail: Trail | undefined,
): string | undefined {
  if (propagate === undefined || (propagate.acceptFrom.length === 0 && trail === undefined)) return undefined;
  const version = headerVersion(propagate.header, name, service, head) ?? versionInBaggage(propagate, name, head);
  if (version === undefined || mayPropagate(propagate, caller)) return version;
  const from = caller.address?.text ?? "an unknown address";
  trail?.push({ stage: "propagated", outcome: "ignored", detail: `${version}: ${from} is not in acceptFrom` });
  return undefined;
}

function mayPropagate({ acceptFrom }: Pick<PropagationSpec, "acceptFrom">, { address }: Caller): boolean {
  return address !== undefined && acceptFrom.some((range) => range.contains(address));
}

function headerVersion(
  { name, format, words }: PropagationSpec["header"],
  release: string,
  service: string,
  head: Lines,
): string | undefined {
  const lines = receivedLines(head, name);
  if (lines === undefined) return undefined;
  const received = format === "releases" ? parseReleaseEntries(lines).get(release) : wordFor(service, lines);
  return received === undefined ? undefined : (words.find(({ word }) => word === received)?.version ?? received);
}

/** The word for a service in a single-version header; undefined if the header was sent more than once. */
function wordFor(service: string, lines: readonly string[]): string | undefined {
  const [line = ""] = lines;
  if (lines.length !== 1) return undefined;
  const received = line.startsWith("{") ? readWordMap(line)?.get(service) : line;
  return received !== undefined && isVersionWord(received) ? received : undefined;
}

/**
 * Parses a JSON map of words by service, as Nepxion Discovery sends it; undefined for anything else. Entries that could
 * not be written back byte for byte are ignored.
 */
function readWordMap(text: string): ReadonlyMap<string, string> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
    return new Map(Object.entries(value).filter(isWordEntry));
  } catch {
    return undefined;
  }
}

function isWordEntry(entry: [string, unknown]): entry is [string, string] {
  const [service, received] = entry;
  return isVersionWord(service) && typeof received === "string" && isVersionWord(received);
}

function versionInBaggage({ baggage }: PropagationSpec, release: string, head: Lines): string | undefined {
  const lines = baggage ? receivedLines(head, "baggage") : undefined;
  const received = lines === undefined ? undefined : baggageVersion(lines.join(","), release);
  return received !== undefined && isVersionWord(received) ? received : undefined;
}

/**
 * An entry of `x-perch-release: shop=canary, other=v2`, and the word of a single-version header. A word allows more than
 * a version name, because headers of other systems say `1.0` or `Gray`. It is safe in a header, a log line and a baggage
 * member.
 */
const entryPattern = /^[\t ]*([a-z0-9][a-z0-9-]{0,62})=([A-Za-z0-9][A-Za-z0-9._-]{0,62})[\t ]*$/;
const wordPattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;

/** Maximum releases in one header; further ones are ignored. */
const maxEntries = 64;

function isVersionWord(text: string): boolean {
  return wordPattern.test(text);
}

/** Versions by release, from the header's lines. The first entry of a release wins; malformed entries are ignored. */
function parseReleaseEntries(lines: readonly string[]): ReadonlyMap<string, string> {
  const entries = new Map<string, string>();
  for (const part of lines.join(",").split(",")) {
    const [, release, version] = entryPattern.exec(part) ?? [];
    if (release === undefined || version === undefined || entries.has(release)) continue;
    entries.set(release, version);
    if (entries.size === maxEntries) break;
  }
  return entries;
}

function formatReleaseEntries(entries: Iterable<readonly [string, string]>): string {
  return Array.from(entries, ([release, version]) => `${release}=${version}`).join(", ");
}
