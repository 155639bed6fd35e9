import type { Draft } from "../draft.ts";
import { errorRoute } from "../error-routes.ts";
import { bySpecificity, covers, type Hostname, intersection } from "../hostnames.ts";
import { titleOf } from "../manifests.ts";
import { type Place, placeMatch, type Site } from "./attachments.ts";
import type { GatewayListener, Gateways } from "./gateways.ts";

interface Placed {
  readonly place: Place;
  /** Whether it matches all requests of its place. */
  readonly takesAll: boolean;
}

/**
 * Listeners that differ by hostname only are isolated: a request is of the most specific one that has its host, and of
 * no other, even if that one has no route for it. So after the routes of a hostname come routes that reply 404 to what
 * is left of it, where routes of a less specific hostname would match it.
 */
export class Isolation {
  /** The listeners that share a port with one that has routes, with the names of Perch's listeners. */
  readonly #listeners = new Map<GatewayListener, string>();

  constructor(sites: readonly Site[], gateways: Gateways) {
    for (const { source } of sites) {
      if (source === undefined) continue;
      for (const one of [source, ...gateways.besides(source)]) this.#listeners.set(one, gateways.nameOf(one));
    }
  }

  /** The place without listeners whose requests to its host are all of a more specific listener; undefined if no listener is left. */
  reachable(place: Place): Place | undefined {
    if (place.listeners === undefined) return place;
    const listeners = place.listeners.filter((name) => !this.#isHidden(place, name));
    return listeners.length === 0 ? undefined : { ...place, listeners };
  }

  #isHidden({ hostname, host }: Place, listener: string): boolean {
    return [...this.#listeners].some(
      ([{ hostname: own }, name]) =>
        name === listener && own !== hostname && covers(hostname, own) && covers(own, host),
    );
  }

  /** The hostnames of listeners and of these places, the most specific first. */
  hostnames(placed: readonly Placed[]): readonly Hostname[] {
    const all = [...this.#listeners.keys()].map(({ hostname }) => hostname);
    return [...new Set([...all, ...placed.map(({ place }) => place.hostname)])].toSorted(bySpecificity);
  }

  /** Adds the routes that reply 404 for this hostname. */
  close(hostname: Hostname, placed: readonly Placed[], draft: Draft): void {
    const open = [...this.#listeners].filter(
      ([{ hostname: own }, name]) => own === hostname && isOpen(hostname, name, placed),
    );
    const [first] = open;
    if (first === undefined) return;
    const listeners = [...new Set(open.map(([, name]) => name))];
    const match = placeMatch({ hostname, host: hostname, listeners, scheme: undefined });
    const [{ owner, section }] = first;
    const source = titleOf(owner);
    const comment = `${source}: its listener ${section} has no route for these requests`;
    const name = draft.name("route", `${section}-404`);
    draft.routes.push(errorRoute({ name, match, comment, sources: [source] }, 404, draft));
  }
}

/** Whether requests that no route of the hostname matches would reach routes of a less specific one. */
function isOpen(hostname: Hostname, listener: string, placed: readonly Placed[]): boolean {
  const here = placed.filter(({ place }) => place.listeners === undefined || place.listeners.includes(listener));
  const isClosed = ({ place, takesAll }: Placed) => takesAll && place.hostname === hostname && place.host === hostname;
  if (here.some(isClosed)) return false;
  return here.some(
    ({ place }) =>
      place.hostname !== hostname &&
      covers(place.hostname, hostname) &&
      intersection(place.host, hostname) !== undefined,
  );
}
