import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { setImmediate as nextTurn } from "node:timers/promises";

/** Told of every connection that a server of this thread accepts. */
const acceptedChannel = "net.server.socket";
/** One turn for events that are at hand already, one to ask the kernel for more. */
const quietTurns = 2;

/**
 * Lets servers accept what waits in their queues: the kernel resets it when they close. Node accepts one connection in a
 * turn of its event loop, so the queues are empty once a turn brings none. `limitMs` ends it under a steady flow.
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
