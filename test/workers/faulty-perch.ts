/** Like `perch serve -c FILE`, with workers that can fail: on SIGUSR2 the first one does. */
import { App } from "../../src/app/app.ts";
import { bringFault, faultyWorker } from "./fault-channel.ts";

// Before "serving" is logged: the signal may arrive at once, and without a handler it would end the process.
process.on("SIGUSR2", () => bringFault(1, { kind: "throw" }));
const path = process.argv[process.argv.indexOf("-c") + 1] ?? "";
await App.start(
  {
    source: { kind: "file", path },
    env: {},
    logLevel: "info",
    drainDelayMs: 0,
    drainTimeoutMs: 1_000,
  },
  { entry: faultyWorker },
);
