import type { AddressInfo, Server } from "node:net";
import { onTestFinished } from "vitest";
import { startPerch, type TestPerch } from "./perch.ts";
import { RawClient } from "./raw-client.ts";
import { type RawUpstream, startRawUpstream, startUpstream, type TestUpstream } from "./upstream.ts";

/** Runs `free` after the current test, passed or failed; in reverse order of the calls. */
export function freeAfterTest(free: () => Promise<unknown>): void {
  onTestFinished(async () => {
    await free();
  });
}

/** The kit's servers and clients, freed after the test that started them. */
export async function upstream(...args: Parameters<typeof startUpstream>): Promise<TestUpstream> {
  const started = await startUpstream(...args);
  freeAfterTest(() => started.close());
  return started;
}

export async function rawUpstream(...args: Parameters<typeof startRawUpstream>): Promise<RawUpstream> {
  const started = await startRawUpstream(...args);
  freeAfterTest(() => started.close());
  return started;
}

/** The port of a server that listens until the current test ends. */
export async function listening(server: Server & { closeAllConnections?(): void }): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject).listen(0, "127.0.0.1", resolve);
  await promise;
  freeAfterTest(async () => {
    server.close();
    server.closeAllConnections?.();
  });
  return (server.address() as AddressInfo).port;
}

export async function perch(...args: Parameters<typeof startPerch>): Promise<TestPerch> {
  const started = await startPerch(...args);
  freeAfterTest(() => started.stop());
  return started;
}

export async function rawClient(port: number): Promise<RawClient> {
  const client = await RawClient.connect(port);
  freeAfterTest(async () => client.close());
  return client;
}
