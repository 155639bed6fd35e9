import { BroadcastChannel } from "node:worker_threads";

export interface Fault {
  readonly kind: "throw" | "out-of-memory" | "busy" | "exit-when-preparing";
  /** How long a busy worker is blocked. */
  readonly forMs?: number;
}

/** Reaches every thread of the process; `faulty-worker` listens to it. */
export const faultChannel = (): BroadcastChannel => new BroadcastChannel("perch-faults");

/** Causes a fault in one worker, or in all, whose entry is `faultyWorker`. */
export function bringFault(worker: number | "all", fault: Fault): void {
  const channel = faultChannel();
  channel.postMessage({ worker, fault });
  channel.close();
}

export const faultyWorker = new URL("./faulty-worker.ts", import.meta.url);
