import { Counter } from "./counters.ts";
import { StatsGroup } from "./stats-group.ts";

/** What is known of one Redis server. */
export class RedisStats {
  /** That answer. Each worker has one. */
  readonly connections = new Counter();
}

export const redisGroup = new StatsGroup<RedisStats, [redis: string]>({
  labels: ["redis"],
  make: (before) => before ?? new RedisStats(),
  metrics: [
    {
      name: "perch_redis_connections",
      help: "Connections to Redis that answer: one for each worker, or 0 while shared rate limits are each process's own.",
      type: "gauge",
      storage: ({ connections }) => connections,
    },
  ],
});
