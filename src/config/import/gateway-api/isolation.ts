import type { Draft } from "../draft.ts";
import { errorRoute } from "../error-routes.ts";
import { bySpecificity, covers, type Hostname, intersection } from "../hostnames.ts";
import { titleOf } from "../manifests.ts";
import { type Attachment, asMatch, type ListenerMatch } from "./attachments.ts";
import type { GatewayListener, Gateways } from "./gateways.ts";

/** What is to be known of the listeners of Gateways. */
export type ListenerNames = Pick<Gateways, "besides" | "nameOf">;

interface RoutedMatch {
  readonly listenerMatch: ListenerMatch;
  /** Whether it matches all requests to its host there. */
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

  constructor(attachments: readonly Attachment[], gateways: ListenerNames) {
    for (const { source } of attachments) {
      if (source === undefined) continue;
      for (const one of [source, ...gateways.besides(source)]) this.#listeners.set(one, gateways.nameOf(one));
    }
  }

  /** The match without listeners whose requests to its host are all of a more specific listener; undefined if no listener is left. */
  reachable(listenerMatch: ListenerMatch): ListenerMatch | undefined {
    if (listenerMatch.listeners === undefined) return listenerMatch;
    const listeners = listenerMatch.listeners.filter((name) => !this.#isHidden(listenerMatch, name));
    return listeners.length === 0 ? undefined : { ...listenerMatch, listeners };
  }

  #isHidden({ hostname, host }: ListenerMatch, listener: string): boolean {
    return [...this.#listeners].some(
      ([{ hostname: own }, name]) =>
        name === listener && own !== hostname && covers(hostname, own) && covers(own, host),
    );
  }

  /** The hostnames of listeners and of these matches, the most specific first. */
  hostnames(routed: readonly RoutedMatch[]): readonly Hostname[] {
    const all = [...this.#listeners.keys()].map(({ hostname }) => hostname);
    return [...new Set([...all, ...routed.map(({ listenerMatch }) => listenerMatch.hostname)])].toSorted(bySpecificity);
  }

  /** Adds the routes that reply 404 for this hostname. Returns the listeners that they are for. */
  addNotFoundRoute(hostname: Hostname, routed: readonly RoutedMatch[], draft: Draft): readonly string[] {
    const open = [...this.#listeners].filter(
      ([{ hostname: own }, name]) => own === hostname && isOpen(hostname, name, routed),
    );
    const [first] = open;
    if (first === undefined) return [];
    const listeners = [...new Set(open.map(([, name]) => name))];
    const match = asMatch({ host: hostname, listeners, scheme: undefined });
    const [{ owner, section }] = first;
    const source = titleOf(owner);
    const comment = `${source}: its listener ${section} has no route for these requests`;
    const name = draft.name("route", `${section}-404`);
    draft.routes.push(errorRoute({ name, match, comment, sources: [source] }, 404, draft));
    return listeners;
  }
}

/** Whether requests that no route of the hostname matches would reach routes of a less specific one. */
function isOpen(hostname: Hostname, listener: string, routed: readonly RoutedMatch[]): boolean {
  const here = routed.filter(
    ({ listenerMatch }) => listenerMatch.listeners === undefined || listenerMatch.listeners.includes(listener),
  );
  const isClosed = ({ listenerMatch, takesAll }: RoutedMatch) =>
    takesAll && listenerMatch.hostname === hostname && listenerMatch.host === hostname;
  if (here.some(isClosed)) return false;
  return here.some(
    ({ listenerMatch }) =>
      listenerMatch.hostname !== hostname &&
      covers(listenerMatch.hostname, hostname) &&
      intersection(listenerMatch.host, hostname) !== undefined,
  );
}
