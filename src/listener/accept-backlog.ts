import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { setImmediate as nextTurn } from "node:timers/promises";

/** Node publishes each connection that a server of this thread accepts. */
const acceptedChannel = "net.server.socket";
/** The first quiet turn only delivers events that are already queued; the second one polls the kernel again. */
const quietTurns = 2;

/**
 * Accepts the connections that wait in the kernel's queues, which would be reset when the servers close. Node accepts
 * one connection per turn of the event loop, so quiet turns mean empty queues. Stops after `limitMs` if connections
 * keep coming.
 */
export async function drainAcceptBacklog(limitMs: number): Promise<void> {
  let accepted = 0;
  const count = () => {
    accepted++;
  };
  const endMs = performance.now() + limitMs;
  subscribe(acceptedChannel, count);
  try {
    for (let quiet = 0, before = 0; quiet < quietTurns && performance.now() < endMs; before = accepted) {
      await nextTurn();
      quiet = accepted === before ? quiet + 1 : 0;
    }
  } finally {
    unsubscribe(acceptedChannel, count);
  }
}
