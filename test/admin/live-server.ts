import { MemoryLive } from "./memory-live.ts";
import { type AdminSetup, adminOf, MemoryRollouts } from "./memory-rollouts.ts";
import { portOf, StreamClient } from "./stream-client.ts";

/** A server of `/api/live` over what the test makes so. */
export async function listening({ view, ...setup }: AdminSetup = {}) {
  const live = new MemoryLive();
  const rollouts = new MemoryRollouts();
  const { server } = adminOf(rollouts, { view: { live, ...view }, ...setup });
  const port = await portOf(server);
  const follow = (headers: Readonly<Record<string, string>> = {}) => new StreamClient(port, "GET /api/live", headers);
  /** A client that has its first events. */
  const following = async (headers: Readonly<Record<string, string>> = {}) => {
    const client = follow(headers);
    await client.until(() => client.of("state").length > 0);
    return client;
  };
  return { live, rollouts, server, port, follow, following };
}

export const ticks = (client: StreamClient) => client.of("tick").length;
export const logged = (client: StreamClient) => client.of("log").map(({ id }) => id);
export const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, at) => from + at);
