/** The load generator, in its own process. Takes one job from its parent, sends the result, and ends. */
import { endWithParent, tellParent } from "../parent.ts";
import { runClosedLoop } from "./closed-loop.ts";
import type { GeneratorJob, GeneratorMessage, GeneratorResults } from "./generator-jobs.ts";
import { holdIdleConnections } from "./idle-connections.ts";
import { runOpenLoop } from "./open-loop.ts";

async function run(job: GeneratorJob): Promise<GeneratorResults[GeneratorJob["kind"]]> {
  switch (job.kind) {
    case "learn":
      // The HTTP client that it needs would double the start of every other job.
      return (await import("../learn-pins.ts")).learnPins(job);
    case "closed-loop":
      return runClosedLoop(job, released);
    case "open-loop":
      return runOpenLoop(job);
    case "idle":
      return holdIdleConnections(job, released);
  }
}

/** The second message. */
const released = () => new Promise<void>((resolve) => process.once("message", () => resolve()));

endWithParent();
process.once("message", (job: GeneratorJob) => {
  run(job)
    .then(
      (result): GeneratorMessage => ({ kind: "result", result }),
      (error: unknown): GeneratorMessage => ({
        kind: "failed",
        why: error instanceof Error ? error.message : String(error),
      }),
    )
    .then(tellParent);
});
