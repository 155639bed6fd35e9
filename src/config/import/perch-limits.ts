import { formatDuration } from "../schema-kit/scalars.ts";
import { maxTimeoutMs } from "../sections/service.ts";

/** The longest time limit of Perch. Where the original has no limit, or a longer one, the result has this one. */
export const longestTimeout: string = formatDuration(maxTimeoutMs);

export { maxRetryAttempts } from "../sections/resilience.ts";
export { maxTimeoutMs };
