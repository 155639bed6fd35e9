import { parentPort } from "node:worker_threads";
import type { ConfigJob } from "../../src/app/config-thread.ts";

/** In place of `config-main`: it ends, fails or never answers, as the source's text says. */
parentPort?.on("message", ({ options: { source } }: ConfigJob) => {
  const text = source.kind === "text" ? source.text : "";
  if (text === "end") process.exit(3);
  if (text === "fail") parentPort?.postMessage({ kind: "failure", why: "a fault of the test" });
});
