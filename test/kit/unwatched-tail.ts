import { DecisionTail } from "../../src/observe/live/decision-tail.ts";

export const unwatchedTail = new DecisionTail({ handOver: () => {}, nowMs: () => 0, schedule: () => () => {} });
