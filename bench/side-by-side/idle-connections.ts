import { tellParent } from "../parent.ts";
import { openConnections } from "./connections.ts";
import type { GeneratorMessage, IdleJob, IdleResult } from "./generator-jobs.ts";
import type { RawConnection } from "./raw-connection.ts";
import { readRequestFile } from "./request-file.ts";

/** The maximum number of concurrent requests: connections are measured, not a burst. */
const requestsAtOnce = 64;

/**
 * One request on each connection; then all are idle, the parent is notified, and they close once `released` resolves.
 */
export async function holdIdleConnections(job: IdleJob, released: () => Promise<void>): Promise<IdleResult> {
  const requests = readRequestFile(job.requestFile);
  const answered = Promise.withResolvers<void>();
  let open = job.connections;
  let answers = 0;
  let sent = 0;
  let connections: readonly RawConnection[] = [];
  const sendNext = () => {
    const request = requests[sent % requests.length];
    const connection = connections[sent++];
    if (connection !== undefined && request !== undefined) connection.send(request.head, undefined);
  };
  connections = await openConnections(job, {
    answered: () => {
      answers += 1;
      if (answers === job.connections) answered.resolve();
      else sendNext();
    },
    ended: () => {
      open -= 1;
      answered.reject(new Error("the proxy closed a connection"));
    },
  });
  for (let count = 0; count < requestsAtOnce; count++) sendNext();
  await answered.promise;
  tellParent({ kind: "result", result: { open } } satisfies GeneratorMessage);
  await released();
  const stillOpen = open;
  for (const connection of connections) connection.close();
  return { open: stillOpen };
}
