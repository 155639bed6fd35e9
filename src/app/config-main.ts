import { isMainThread, parentPort, type Transferable } from "node:worker_threads";
import type { LoadedConfig } from "../config/load.ts";
import { encodeConfig } from "../config/portable/encode-config.ts";
import { createLoader, type LoaderMemory } from "./config-source.ts";
import type { ConfigJob, ConfigReply } from "./config-thread.ts";

if (isMainThread || parentPort === null) throw new TypeError("This file runs only as a worker thread of Perch.");
const port = parentPort;

port.on("message", async (job: ConfigJob) => {
  const reply = await replyTo(job);
  port.postMessage(reply, reply.kind === "loaded" ? buffersOf(reply.loaded) : []);
});

async function replyTo({ options, memory, base }: ConfigJob): Promise<ConfigReply> {
  try {
    const loader = createLoader(options, () => Date.now(), memory);
    const result = await loader.load();
    if (!result.ok) return { kind: "rejected", rejected: result, memory: loader.memory() };
    return loadedReply(result, encodeConfig(result.compiled, base), loader.memory());
  } catch (error) {
    return { kind: "failure", why: error instanceof Error ? String(error.stack) : String(error) };
  }
}

function loadedReply(
  { ok, hash, sources, warnings }: LoadedConfig,
  encoded: ReturnType<typeof encodeConfig>,
  memory: LoaderMemory,
): ConfigReply {
  // Each gets separate memory, which can be transferred. A copy would cost the other thread milliseconds.
  const files = new Map(Array.from(sources.files, ([path, bytes]) => [path, new Uint8Array(bytes)]));
  return { kind: "loaded", loaded: { ok, hash, sources: { ...sources, files }, warnings }, encoded, memory };
}

function buffersOf({ sources }: Pick<LoadedConfig, "sources">): Transferable[] {
  return Array.from(sources.files.values(), ({ buffer }) => buffer).filter((buffer) => buffer instanceof ArrayBuffer);
}
