import { onTestFinished } from "vitest";
import { startPerch, type TestPerch } from "./perch.ts";
import { type RawUpstream, startRawUpstream, startUpstream, type TestUpstream } from "./upstream.ts";

/** Runs `free` after the test that is running, last started first freed, whether it passed or failed. */
export function freeAfterTest(free: () => Promise<unknown>): void {
  onTestFinished(async () => {
    await free();
  });
}

/** The kit's servers, freed after the test that started them. */
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

export async function perch(...args: Parameters<typeof startPerch>): Promise<TestPerch> {
  const started = await startPerch(...args);
  freeAfterTest(() => started.stop());
  return started;
}
