import { createServer } from "node:net";

export interface TriedAddress {
  readonly host: string;
  readonly port: number;
}

/** Listens on the address and stops again. Rejects as `listen` does. */
export type TryListening = (address: TriedAddress, reusePort: boolean) => Promise<void>;

/** Whether several threads may listen on one port: not on macOS or Windows (ENOTSUP). */
export async function canReusePort(tryListening: TryListening = listenAndStop): Promise<boolean> {
  try {
    await tryListening({ host: "127.0.0.1", port: 0 }, true);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOTSUP") return false;
    // Whatever else is wrong, the real listeners will tell.
    return true;
  }
}

/** Rejects where another process has the address: sharing it, as the workers do, would go unnoticed. */
export function claimAlone(address: TriedAddress): Promise<void> {
  return listenAndStop(address, false);
}

function listenAndStop({ host, port }: TriedAddress, reusePort: boolean): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const server = createServer();
  server.once("error", reject);
  server.listen({ host, port, reusePort }, () => server.close(() => resolve()));
  return promise;
}
