import { fileURLToPath } from "node:url";
import { Child, nodeCommand } from "../child.ts";
import { complaints } from "../judge.ts";
import type {
  ClosedLoopJob,
  GeneratorJob,
  GeneratorMessage,
  GeneratorResults,
  IdleJob,
  IdleResult,
  OpenLoopJob,
  OpenLoopResult,
} from "./generator-jobs.ts";
import type { RunningLoad } from "./running-load.ts";

const script = fileURLToPath(new URL("generator.ts", import.meta.url));

/** The maximum time of a job; one that takes longer hangs. */
const timeoutMs = 60_000;

/** One job in its own process, on the load's CPU. */
export async function runGenerator<Job extends Exclude<GeneratorJob, OpenLoopJob>>(
  job: Job,
  cpu: number | undefined,
): Promise<GeneratorResults[Job["kind"]]> {
  const child = new Child({ command: nodeCommand(script), cpu, messages: true });
  try {
    child.send(job);
    return await nextResult<Job["kind"]>(child);
  } finally {
    await child.stop();
  }
}

/** Does `meanwhile` from the first request on. */
export async function withOpenLoop(
  job: OpenLoopJob,
  cpu: number | undefined,
  meanwhile: () => Promise<void>,
): Promise<OpenLoopResult> {
  const child = new Child({ command: nodeCommand(script), cpu, messages: true, priority: "idle" });
  try {
    child.send(job);
    await nextMessage(child);
    const [result] = await Promise.all([nextResult<"open-loop">(child), meanwhile()]);
    return result;
  } finally {
    await child.stop();
  }
}

/** A load without pause, until it is stopped. */
export function startClosedLoop(job: ClosedLoopJob, cpu: number | undefined): RunningLoad {
  const child = new Child({ command: nodeCommand(script), cpu, messages: true });
  child.send(job);
  return {
    stop: async () => {
      try {
        const end = nextResult<"closed-loop">(child);
        child.send({});
        return complaints((await end).verdict);
      } finally {
        await child.stop();
      }
    },
  };
}

/** Does `whileIdle` while all connections are idle; fails where the proxy closed any. */
export async function withIdleConnections(
  job: IdleJob,
  cpu: number | undefined,
  whileIdle: () => Promise<void>,
): Promise<IdleResult> {
  const child = new Child({ command: nodeCommand(script), cpu, messages: true });
  try {
    child.send(job);
    await nextResult<"idle">(child);
    await whileIdle();
    const end = nextResult<"idle">(child);
    child.send({});
    return await end;
  } finally {
    await child.stop();
  }
}

async function nextResult<Kind extends GeneratorJob["kind"]>(child: Child): Promise<GeneratorResults[Kind]> {
  const message = await nextMessage(child);
  if (message.kind !== "result") throw new Error("the load began once more");
  return message.result as GeneratorResults[Kind];
}

async function nextMessage(child: Child): Promise<Exclude<GeneratorMessage, { readonly kind: "failed" }>> {
  const message = await child.nextMessage<GeneratorMessage>(timeoutMs);
  if (message.kind === "failed") throw new Error(message.why);
  return message;
}
