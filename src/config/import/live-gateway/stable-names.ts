import { hash } from "node:crypto";
import type { LoadedConfig } from "../../load.ts";
import { type NameKind, resourceNameOf } from "../draft.ts";

/** Names that the file has given away. */
export interface TakenNames {
  readonly services: readonly string[];
  readonly releases: readonly string[];
  readonly routes: readonly string[];
  /** Of pins, overrides and attributes. */
  readonly cookies: readonly string[];
}

export function namesTakenBy({ config, compiled }: Pick<LoadedConfig, "config" | "compiled">): TakenNames {
  const names = (entries: readonly { readonly name: string }[]) => entries.map(({ name }) => name);
  const ofReleases = compiled.releases.flatMap(({ sticky, override }) => [sticky.cookie.name, override?.cookie ?? []]);
  const ofAttributes = compiled.attributes.flatMap(({ from }) =>
    from.map((one) => (one.kind === "cookie" ? one.name : [])),
  );
  return {
    services: names(config.services),
    releases: names(config.releases),
    routes: names(config.routes),
    cookies: [...ofReleases, ...ofAttributes].flat(),
  };
}

const suffixLength = 8;

/** The pin's cookie of a release that names no other. */
const cookieOf = (release: string): string => `perch-${release}`;

/**
 * Names for the parts of the configuration, which cookies and metrics carry: the same thing has the same name in each
 * compilation. Of two that want one name, the first to ask has it, so the older object must; the other gets a suffix
 * that depends on what it is, not on what else there is.
 */
export class StableNames {
  /** What has the name, by kind and name. */
  readonly #owners = new Map<string, string>();
  /** How many have asked for a further name, by kind and name. */
  readonly #numbers = new Map<string, number>();

  constructor({ services, releases, routes, cookies }: TakenNames) {
    const taken = { service: services, release: releases, route: routes, cookie: cookies };
    for (const [kind, names] of Object.entries(taken)) {
      for (const name of names) this.#owners.set(`${kind} ${name}`, "the file");
    }
  }

  /** `identity`: what it is, in no less detail than makes it another thing. */
  of(kind: NameKind, wanted: string, identity: string): string {
    const plain = resourceNameOf(wanted);
    if (this.claim(kind, plain, identity)) return plain;
    const stem = plain.slice(0, 62 - suffixLength).replace(/-+$/, "");
    // Further digests, should somebody have the name with the first.
    for (let digest = hash("sha256", identity); ; digest = hash("sha256", digest)) {
      const name = `${stem}-${digest.slice(0, suffixLength)}`;
      if (this.claim(kind, name, identity)) return name;
    }
  }

  /** A name for one more thing, which only its number tells from others that want the same. */
  next(kind: NameKind, wanted: string): string {
    const key = `${kind} ${wanted}`;
    const number = (this.#numbers.get(key) ?? 0) + 1;
    this.#numbers.set(key, number);
    return this.of(kind, wanted, `number ${number} of ${key}`);
  }

  /** Whether a release may have this cookie. Names that others have by default are for them alone, whenever they come. */
  claimCookie(name: string, release: string): boolean {
    return !name.startsWith(cookieOf("")) && this.#claimKeys([`cookie ${name}`], release);
  }

  /** Whether it has this name, which must be a valid one. */
  claim(kind: NameKind, name: string, identity: string): boolean {
    return this.#claimKeys([`${kind} ${name}`, ...(kind === "release" ? [`cookie ${cookieOf(name)}`] : [])], identity);
  }

  #claimKeys(keys: readonly string[], identity: string): boolean {
    const isFree = keys.every((key) => (this.#owners.get(key) ?? identity) === identity);
    if (isFree) for (const key of keys) this.#owners.set(key, identity);
    return isFree;
  }
}
