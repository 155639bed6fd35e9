/** Our own load, in a process of its own. Takes one job from its parent, answers it, and ends. */
import { learnPins } from "../learn-pins.ts";
import { endWithParent, tellParent } from "../parent.ts";
import { runClosedLoop } from "./closed-loop.ts";
import type { GeneratorJob, GeneratorMessage, GeneratorResults } from "./generator-jobs.ts";
import { holdIdleConnections } from "./idle-connections.ts";
import { runOpenLoop } from "./open-loop.ts";

function run(job: GeneratorJob): Promise<GeneratorResults[GeneratorJob["kind"]]> {
  switch (job.kind) {
    case "learn":
      return learnPins(job);
    case "closed-loop":
      return runClosedLoop(job, told);
    case "open-loop":
      return runOpenLoop(job);
    case "idle":
      return holdIdleConnections(job, told);
  }
}

/** The second message. */
const told = () => new Promise<void>((resolve) => process.once("message", () => resolve()));

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
