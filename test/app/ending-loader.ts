import { parentPort } from "node:worker_threads";
import type { ConfigJob } from "../../src/app/config-thread.ts";

/** In place of `config-main`: it ends, fails, answers for another base or never, as the source's text says. */
parentPort?.on("message", ({ options: { source } }: ConfigJob) => {
  const text = source.kind === "text" ? source.text : "";
  if (text === "end") process.exit(3);
  if (text === "confuse") {
    const encoded = { portable: { base: "another" }, fingerprints: new Map() };
    parentPort?.postMessage({ kind: "loaded", loaded: { sources: {} }, encoded, memory: { secrets: new Map() } });
  }
  if (text === "fail") parentPort?.postMessage({ kind: "failure", why: "a fault of the test" });
});
