import type { Logger } from "../observe/log.ts";
import { redisGroup } from "../observe/redis-stats.ts";
import type { StatsRegistry } from "../observe/stats-registry.ts";
import { storeName } from "../proxy/token-store.ts";
import type { RedisEvents } from "../redis/redis-stores.ts";
import type { TokenStoreSpec } from "../route/route-spec.ts";

const awayMessage = "Redis cannot be used now; until it can, each process counts shared rate limits by itself";
const backMessage = "Redis can be used again; shared rate limits are counted there";

/** Counts connections to Redis, and logs when an outage begins and ends. */
export function loggingRedisEvents(stats: StatsRegistry, log: Logger): RedisEvents {
  const count = (spec: TokenStoreSpec, change: 1 | -1) => {
    const known = stats.all(redisGroup).get(storeName(spec));
    if (known !== undefined) known.connections.value += change;
  };
  return {
    connected: (spec) => count(spec, 1),
    disconnected: (spec) => count(spec, -1),
    away: (spec, why) => log.warn({ redis: storeName(spec), why }, awayMessage),
    back: (spec) => log.info({ redis: storeName(spec) }, backMessage),
  };
}
