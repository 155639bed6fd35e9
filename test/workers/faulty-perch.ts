/** `perch serve -c FILE`, as far as a test needs it, with workers that fail: the first one at SIGUSR2. */
import { App } from "../../src/app/app.ts";
import { bringFault, faultyWorker } from "./fault-channel.ts";

// Before it says that it serves: the signal may come at once, and would end a process that does not expect it.
process.on("SIGUSR2", () => bringFault(1, { kind: "throw" }));
const path = process.argv.at(-1) ?? "";
await App.start({
  source: { kind: "file", path },
  env: {},
  logLevel: "info",
  drainDelayMs: 0,
  drainTimeoutMs: 1_000,
  workerFaults: { entry: faultyWorker },
});
