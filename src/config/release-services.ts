import type { Entry } from "./schema-kit/collections.ts";
import type { ParseContext } from "./schema-kit/schema.ts";

interface PairedService {
  readonly name: string;
  readonly versions: readonly string[];
}

/** The services that routes pair with a release. */
export interface PairedServices {
  /** In the order of the routes. */
  readonly paired: readonly PairedService[];
  /**
   * The versions that the release may name. If no route uses the release, or one pairs it with an unknown service
   * (which is reported separately), these are the versions of all services. Undefined if a service could not be read.
   */
  readonly known: ReadonlySet<string> | undefined;
}

interface PairingConfig {
  readonly services: readonly Entry<{ readonly versions: readonly Entry<unknown>[] }>[];
  readonly routes: readonly { readonly service: string | undefined; readonly release: string | undefined }[];
}

export class ReleaseServices {
  readonly #services = new Map<string, PairedService>();
  readonly #paired = new Map<string, Set<PairedService>>();
  /** Releases that a route pairs with an unknown service. */
  readonly #uncertain = new Set<string>();
  readonly #allRead: boolean;

  constructor(config: PairingConfig, parsing: ParseContext) {
    for (const { name, value } of config.services) {
      const versions = [...(parsing.namesIn(value, "versions") ?? [])];
      if (versions.length > 0) this.#services.set(name, { name, versions });
    }
    this.#allRead = parsing.namesIn(config, "services")?.size === this.#services.size;
    for (const { service, release } of config.routes) {
      if (release !== undefined && service !== undefined) this.#pair(release, service);
    }
  }

  of(release: string): PairedServices {
    const paired = [...(this.#paired.get(release) ?? [])];
    const uncertain = this.#uncertain.has(release);
    if (uncertain && !this.#allRead) return { paired, known: undefined };
    const offering = paired.length > 0 && !uncertain ? paired : [...this.#services.values()];
    return { paired, known: new Set(offering.flatMap((service) => service.versions)) };
  }

  #pair(release: string, service: string): void {
    const found = this.#services.get(service);
    if (found === undefined) {
      this.#uncertain.add(release);
      return;
    }
    const paired = this.#paired.get(release) ?? new Set();
    this.#paired.set(release, paired.add(found));
  }
}
