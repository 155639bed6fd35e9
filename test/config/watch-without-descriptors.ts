// Run by watch.test.ts with a low limit on open files. Uses up all descriptors, as a flood of clients does, runs a
// check, releases the descriptors, and prints what was reported.
import { closeSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { FileWatcher } from "../../src/config/watch.ts";

const [file = ""] = process.argv.slice(2);
const anHourMs = 3_600_000;
const reported: string[] = [];
const read = readFileSync(file);
const held: number[] = [];

/** Opens files until EMFILE. */
function useUpDescriptors(): void {
  try {
    for (;;) held.push(openSync("/dev/null", "r"));
  } catch (error) {
    reported.push(error instanceof Error && "code" in error ? String(error.code) : "no error");
  }
}

useUpDescriptors();
const watcher = new FileWatcher({
  files: [],
  pollMs: anHourMs,
  onChange: () => reported.push("change"),
  onWarning: (message) => reported.push(message.replace(/ \/\S+/g, " DIR")),
});
watcher.setFiles([file], new Map([[file, read]]));
watcher.check();
reported.push("freed");
for (const descriptor of held) closeSync(descriptor);
watcher.check();
reported.push("written");
writeFileSync(file, "new");
watcher.check();
watcher.close();
console.log(JSON.stringify(reported));
