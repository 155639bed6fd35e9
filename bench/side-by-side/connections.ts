import type { Answer } from "../judge.ts";
import { RawConnection } from "./raw-connection.ts";

/** Connections opened at a time, so that no backlog overflows. */
const openedAtOnce = 128;

interface ConnectionsListener {
  answered(connection: RawConnection, answer: Answer): void;
  ended(connection: RawConnection): void;
}

/** Resolves once all are open. */
export async function openConnections(
  { port, tls, connections }: { readonly port: number; readonly tls: boolean; readonly connections: number },
  listener: ConnectionsListener,
): Promise<RawConnection[]> {
  const opened: RawConnection[] = [];
  while (opened.length < connections) {
    const count = Math.min(openedAtOnce, connections - opened.length);
    const batch = Array.from({ length: count }, () => new RawConnection({ port, tls }, listener));
    await Promise.all(batch.map((connection) => connection.opened));
    opened.push(...batch);
  }
  return opened;
}
