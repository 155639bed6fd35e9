import type { Hostname } from "../hostnames.ts";
import type { Manifest } from "../manifests.ts";
import type { ListenerMatch } from "./attachments.ts";

type Requests = Pick<ListenerMatch, "host" | "listeners" | "age">;

interface Taker {
  /** Of its Gateway. */
  readonly age: number;
  /** Undefined: a listener without a route for them. */
  readonly route: Manifest | undefined;
}

/** Hosts of which routes of one Gateway take all requests, so that no route of a younger one gets any. */
export class TakenHosts {
  /** The first that takes them, by listener and host. */
  readonly #takers = new Map<string, Taker>();

  add({ host, listeners = [], age }: Requests, route?: Manifest): void {
    for (const listener of listeners) {
      const key = `${listener} ${host}`;
      if (!this.#takers.has(key)) this.#takers.set(key, { age, route });
    }
  }

  /** Who has all of these requests by an older Gateway; undefined if some are left. */
  olderThan({ host, listeners = [], age }: Requests): Taker | undefined {
    const older = listeners.map((listener) => this.#olderAt(listener, host, age));
    return older.includes(undefined) ? undefined : older[0];
  }

  #olderAt(listener: string, host: Hostname, age: number): Taker | undefined {
    return coveringHosts(host)
      .map((pattern) => this.#takers.get(`${listener} ${pattern}`))
      .find((found) => found !== undefined && found.age < age);
  }
}

/** The host itself, the wildcards that have it, and any host. */
function coveringHosts(host: Hostname): readonly Hostname[] {
  const labels = host.split(".");
  return [host, ...labels.slice(1).map((_, at) => `*.${labels.slice(at + 1).join(".")}`), ""];
}
