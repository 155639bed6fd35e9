import { parentPort } from "node:worker_threads";
import type { PlanJob } from "../../src/app/plan-thread.ts";

/** Ends when it is asked for a plan of "end", needs all memory for "grow", never answers others. */
parentPort?.on("message", ({ question }: PlanJob) => {
  if (question.kind !== "plan") return;
  if (question.text === "end") process.exit(3);
  const kept: number[][] = [];
  while (question.text === "grow") kept.push(new Array(100_000).fill(kept.length));
});
