// Run by watch.test.ts under a low limit of open files. Uses up every descriptor, as a flood of clients does, makes a
// watcher look, gives the descriptors back, and prints what was told.
import { closeSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { FileWatcher } from "../../src/config/watch.ts";

const [file = ""] = process.argv.slice(2);
const anHourMs = 3_600_000;
const told: string[] = [];
const read = readFileSync(file);
const held: number[] = [];

/** Until the limit is met: EMFILE ends it. */
function useUpDescriptors(): void {
  try {
    for (;;) held.push(openSync("/dev/null", "r"));
  } catch (error) {
    told.push(error instanceof Error && "code" in error ? String(error.code) : "no error");
  }
}

useUpDescriptors();
const watcher = new FileWatcher({
  files: [],
  pollMs: anHourMs,
  onChange: () => told.push("change"),
  onWarning: (message) => told.push(message.replace(/ \/\S+/g, " DIR")),
});
watcher.setFiles([file], new Map([[file, read]]));
watcher.check();
told.push("freed");
for (const descriptor of held) closeSync(descriptor);
watcher.check();
told.push("written");
writeFileSync(file, "new");
watcher.check();
watcher.close();
console.log(JSON.stringify(told));
