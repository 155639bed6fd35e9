import { expect, it } from "vitest";
import { CachedClock } from "../../../src/proxy/cached-clock.ts";
import { FastUpstreamPools, type UpstreamUser } from "../../../src/proxy/fast/upstream-pool.ts";
import { Endpoint } from "../../../src/upstream/endpoint.ts";
import { addressOf } from "../../../src/upstream/service-spec.ts";
import { freeAfterTest, rawUpstream } from "../../kit/freed.ts";

it("a connection made while others are idle takes the place of the oldest, where no more may stand", async () => {
  const server = await rawUpstream(() => {});
  const pools = new FastUpstreamPools(
    new CachedClock({ nowMs: () => Date.now(), monotonicMs: () => performance.now() }),
  );
  freeAfterTest(async () => pools.destroy());
  const endpoint = new Endpoint("shop", "stable", addressOf(server.origin));
  endpoint.maxInFlight = 2;
  const connect = async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const user: UpstreamUser = {
      onUpstreamConnected: resolve,
      onUpstreamData: () => true,
      onUpstreamEnd: () => {},
      onUpstreamClosed: () => {},
      onUpstreamFlushed: () => {},
      onDefect: () => {},
    };
    const connection = pools.open(endpoint, user);
    await promise;
    return connection;
  };
  for (const connection of [await connect(), await connect()]) {
    connection.answered(undefined);
    connection.leave("flushed");
    pools.release(connection);
    // Connections rest until the turn of the event loop is over.
    pools.context.turns.eventHandled();
  }
  await new Promise((resolve) => setImmediate(resolve));
  await connect();
  await expect.poll(() => server.sockets.map(({ destroyed }) => destroyed)).toEqual([true, false, false]);
});
