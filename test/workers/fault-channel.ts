import { BroadcastChannel } from "node:worker_threads";

export interface Fault {
  readonly kind: "throw" | "out-of-memory" | "busy" | "exit-when-preparing";
  /** How long a busy worker hears nothing. */
  readonly forMs?: number;
}

/** Reaches every thread of the process; `faulty-worker` listens to it. */
export const faultChannel = (): BroadcastChannel => new BroadcastChannel("perch-faults");

/** Brings a fault upon one worker, or all, started with `faultyWorker` as their entry. */
export function bringFault(worker: number | "all", fault: Fault): void {
  const channel = faultChannel();
  channel.postMessage({ worker, fault });
  channel.close();
}

export const faultyWorker = new URL("./faulty-worker.ts", import.meta.url);
