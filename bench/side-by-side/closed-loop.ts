import { Judge } from "../judge.ts";
import { openConnections } from "./connections.ts";
import type { ClosedLoopJob, ClosedLoopResult } from "./generator-jobs.ts";
import type { RawConnection } from "./raw-connection.ts";
import { type RecordedRequest, readRequestFile } from "./request-file.ts";

/**
 * Requests without pause on all connections, until there are enough responses or `released` resolves; every one is
 * checked.
 */
export async function runClosedLoop(job: ClosedLoopJob, released: () => Promise<void>): Promise<ClosedLoopResult> {
  const answersWanted = job.answers ?? Number.POSITIVE_INFINITY;
  const requests = readRequestFile(job.requestFile);
  const body = job.uploadBytes === 0 ? undefined : Buffer.alloc(job.uploadBytes, "x");
  const judge = new Judge([], job.bodyBytes);
  const ended = Promise.withResolvers<void>();
  const underWay = new Map<RawConnection, RecordedRequest>();
  let sent = 0;
  let answers = 0;
  let stopped = false;

  const sendNext = (connection: RawConnection) => {
    const request = requests[sent++ % requests.length];
    if (request === undefined) return;
    underWay.set(connection, request);
    connection.send(request.head, body);
  };
  const connections = await openConnections(job, {
    answered: (connection, answer) => {
      answers += 1;
      judge.judge(underWay.get(connection)?.wanted, answer);
      underWay.delete(connection);
      if (!stopped && sent < answersWanted) sendNext(connection);
      else if (underWay.size === 0) ended.resolve();
    },
    ended: (connection) => {
      judge.connectionFailed();
      underWay.delete(connection);
      if (underWay.size === 0) ended.resolve();
    },
  });
  for (const connection of connections.slice(0, answersWanted)) sendNext(connection);
  released().then(() => {
    stopped = true;
  });
  await ended.promise;
  for (const connection of connections) connection.close();
  return { answers, verdict: judge.verdict() };
}
