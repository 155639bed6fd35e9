import type { BucketState } from "../proxy/token-store.ts";
import type { TokenRate } from "../upstream/token-bucket.ts";

/**
 * Takes a token from the bucket at KEYS[1] (generic cell rate algorithm, ITU-T I.371). A bucket is the time at which it
 * will be full, as seconds and microseconds by the clock of Redis, and nothing once that is past. ARGV: the time for one
 * token and the time for a whole bucket, in microseconds.
 *
 * Returns after how many microseconds the bucket will be full: negative if there was no token. Where the clock was set
 * back, a bucket is at worst empty, and fills from then on. Times are relative to now, as a double has no room for fractions of microseconds since
 * 1970. Needs Redis 5, which copies effects to replicas, and not scripts that read the clock.
 */
export const takeTokenScript = `
local now = redis.call('TIME')
local seconds, micros = tonumber(now[1]), tonumber(now[2])
local interval, capacity = tonumber(ARGV[1]), tonumber(ARGV[2])
local full = 0
local kept = redis.pcall('GET', KEYS[1])
if type(kept) == 'string' then
  local s, u = string.match(kept, '^(%d+) (%S+)$')
  s, u = tonumber(s), tonumber(u)
  if s and u then full = (s - seconds) * 1000000 + (u - micros) end
end
local wasBeyond = full > capacity
if wasBeyond then full = capacity elseif not (full > 0) then full = 0 end
local hasToken = full - (capacity - interval) <= 0.001
if hasToken then full = full + interval end
if hasToken or wasBeyond then
  redis.call('SET', KEYS[1], string.format('%d %.17g', seconds, micros + full), 'PX', math.ceil(full / 1000))
end
if not hasToken then return -math.floor(full) end
return math.max(1, math.floor(full))
`;

/** The script's arguments for a rate. */
export function rateArguments({ requests, perMs, burst }: TokenRate): readonly [interval: string, capacity: string] {
  const intervalMicros = (perMs * 1000) / requests;
  return [String(intervalMicros), String(intervalMicros * burst)];
}

/** Undefined if this is not what the script returns. */
export function readBucketState(reply: unknown): BucketState | undefined {
  if (typeof reply !== "number" || !Number.isFinite(reply)) return undefined;
  return { isTaken: reply > 0, fullInMs: Math.abs(reply) / 1000 };
}
