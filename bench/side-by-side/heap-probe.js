// @ts-check
// Loaded before Perch with --import: tells whoever connects how many bytes this thread's JavaScript has allocated since
// its start. Plain JavaScript, since Node would load its type stripper for anything else.
import { rmSync } from "node:fs";
import { createServer } from "node:net";
import process from "node:process";
import { getHeapStatistics } from "node:v8";
import { isMainThread } from "node:worker_threads";

const path = process.env["BENCH_HEAP_SOCKET"];
if (isMainThread && path !== undefined) {
  // Left by this process where it has executed itself anew.
  rmSync(path, { force: true });
  createServer((socket) => socket.end(String(getHeapStatistics().total_allocated_bytes)))
    .listen(path)
    .unref();
}
