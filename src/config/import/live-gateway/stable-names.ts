import { hash } from "node:crypto";
import { resourceNameOf } from "../draft.ts";

type Kind = "service" | "release" | "route";

/** Names that the file has given away. */
export interface TakenNames {
  readonly services: readonly string[];
  readonly releases: readonly string[];
  readonly routes: readonly string[];
}

const suffixLength = 8;

/**
 * Names for the parts of the configuration, which cookies and metrics carry: the same thing has the same name in each
 * compilation. Of two that want one name, the first to ask has it, so the older object must; the other gets a suffix
 * that depends on what it is, not on what else there is.
 */
export class StableNames {
  /** What has the name, by kind and name. */
  readonly #owners = new Map<string, string>();

  constructor({ services, releases, routes }: TakenNames) {
    const taken = { service: services, release: releases, route: routes };
    for (const kind of ["service", "release", "route"] as const) {
      for (const name of taken[kind]) this.#owners.set(`${kind} ${name}`, "the file");
    }
  }

  /** `identity`: what it is, in no less detail than makes it another thing. */
  of(kind: Kind, wanted: string, identity: string): string {
    const plain = resourceNameOf(wanted);
    if (this.#claim(kind, plain, identity)) return plain;
    const suffix = hash("sha256", identity, "hex");
    const stem = plain.slice(0, 62 - suffixLength).replace(/-+$/, "");
    const name = `${stem}-${suffix.slice(0, suffixLength)}`;
    if (this.#claim(kind, name, identity)) return name;
    // Two digests with the same beginning.
    return `${stem.slice(0, 20)}-${suffix.slice(0, 32)}`;
  }

  #claim(kind: Kind, name: string, identity: string): boolean {
    const key = `${kind} ${name}`;
    const owner = this.#owners.get(key);
    if (owner === undefined) this.#owners.set(key, identity);
    return owner === undefined || owner === identity;
  }
}
