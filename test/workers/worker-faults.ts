import { parentPort, threadName } from "node:worker_threads";
import { type Fault, faultChannel } from "./fault-channel.ts";

let exitsWhenPreparing = false;

faultChannel().onmessage = ({ data }) => {
  const { worker, fault } = data as { worker: number | "all"; fault: Fault };
  if (worker === "all" || threadName === `worker ${worker}`) bring(fault);
};

parentPort?.on("message", ({ call }: { call: string }) => {
  if (call === "prepare" && exitsWhenPreparing) process.exit(7);
});

function bring({ kind, forMs }: Fault): void {
  if (kind === "throw") throw new Error("a fault of the test");
  if (kind === "out-of-memory") fill();
  if (kind === "busy") Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, forMs);
  if (kind === "exit-when-preparing") exitsWhenPreparing = true;
}

function fill(): void {
  const kept: object[] = [];
  for (;;) kept.push(Array.from({ length: 1_000 }, (_, i) => ({ i })));
}
