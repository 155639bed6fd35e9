import type { Hostname } from "../hostnames.ts";
import type { ListenerMatch } from "./attachments.ts";

type Requests = Pick<ListenerMatch, "host" | "listeners" | "age">;

/** Hosts of which routes of one Gateway take all requests, so that no route of a younger one gets any. */
export class TakenHosts {
  /** The age of the first that takes them, by listener and host. */
  readonly #ages = new Map<string, number>();

  add({ host, listeners = [], age }: Requests): void {
    for (const listener of listeners) {
      const key = `${listener} ${host}`;
      if (!this.#ages.has(key)) this.#ages.set(key, age);
    }
  }

  /** The age of an older Gateway that has all of these requests; undefined if some are left. */
  olderThan({ host, listeners = [], age }: Requests): number | undefined {
    const older = listeners.map((listener) => this.#olderAt(listener, host, age));
    return older.includes(undefined) ? undefined : older[0];
  }

  #olderAt(listener: string, host: Hostname, age: number): number | undefined {
    return coveringHosts(host)
      .map((pattern) => this.#ages.get(`${listener} ${pattern}`))
      .find((found) => found !== undefined && found < age);
  }
}

/** The host itself, the wildcards that have it, and any host. */
function coveringHosts(host: Hostname): readonly Hostname[] {
  const labels = host.split(".");
  return [host, ...labels.slice(1).map((_, at) => `*.${labels.slice(at + 1).join(".")}`), ""];
}
