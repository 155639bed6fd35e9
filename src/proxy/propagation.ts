import type { AddressRange } from "../decide/address.ts";
import type { Decision } from "../decide/decision.ts";
import type { PropagationHeader, PropagationSpec, ReleaseSpec } from "../decide/release.ts";
import { baggageMember, mergeBaggage } from "../identify/baggage.ts";
import type { Caller } from "../identify/caller.ts";
import { receivedLines } from "../identify/client-address.ts";
import { formatReleaseEntries, parseReleaseEntries } from "../identify/release-entries.ts";
import type { RequestHead } from "../identify/request-head.ts";
import { mayPropagate, readWordMap } from "./received-version.ts";

/** A request on its way to a service. */
export interface PropagatedRequest {
  readonly head: Pick<RequestHead, "header" | "headerLines">;
  readonly caller: Caller;
  readonly service: { readonly name: string; readonly external: boolean };
  /** The route's release; undefined where it has none. */
  readonly release: string | undefined;
  readonly decision: Pick<Decision, "version"> | undefined;
}

/** Where nothing is to be said. */
export const noFields: readonly string[] = Object.freeze([]);
const keepsNone = (): boolean => false;

/**
 * What goes upstream about releases: the version assigned here, and what an accepted caller said of other releases. All
 * that anybody else said of any release is left out. Prepared once a snapshot.
 */
export class Propagation {
  readonly #specs: ReadonlyMap<string, PropagationSpec>;
  /** Each header once, though several releases share it. */
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

  /** Whether nothing is ever said of releases, so that only a request with baggage needs a look. */
  get isIdle(): boolean {
    return this.#headers.length === 0;
  }

  /** The fields to be sent, flat: name, value. `baggage` are the lines received, joined by commas. */
  fields(request: PropagatedRequest, baggage: string | undefined): readonly string[] {
    if (this.isIdle && baggage === undefined) return noFields;
    const out: string[] = [];
    const { decision, release, service } = request;
    const told = decision === undefined || release === undefined || service.external ? undefined : decision.version;
    const spec = told === undefined ? undefined : this.#specs.get(release ?? "");
    if (!service.external) this.#addHeaders(request, spec, out);
    const own = spec?.baggage && release !== undefined ? baggageMember(release, told ?? "") : undefined;
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
    const lines = this.#mayPassOn(request) ? receivedLines(request.head, name) : undefined;
    if (lines !== undefined) {
      const keeps = this.#keeps(request, isOwn ? this.#specs.get(release) : undefined);
      for (const entry of parseReleaseEntries(lines)) if (keeps(entry[0])) entries.push(entry);
    }
    return formatReleaseEntries(entries);
  }

  /** A header of one version has room for one: the version assigned here, else what an accepted caller sent. */
  #versionValue(request: PropagatedRequest, own: PropagationHeader | undefined, name: string): string {
    const line = this.#mayPassOn(request) ? request.head.header(name) : undefined;
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

  /** Whether anything that this caller says of releases counts. */
  #mayPassOn({ caller }: PropagatedRequest): boolean {
    return this.#acceptFrom.length > 0 && mayPropagate({ acceptFrom: this.#acceptFrom }, caller);
  }

  /** Whether what came about a release goes on; what is written here takes the place of what came. */
  #keeps(request: PropagatedRequest, own: PropagationSpec | undefined): (release: string) => boolean {
    if (!this.#mayPassOn(request)) return keepsNone;
    return (release) => {
      if (own !== undefined && release === request.release) return false;
      const spec = this.#specs.get(release);
      return spec === undefined || mayPropagate(spec, request.caller);
    };
  }
}
