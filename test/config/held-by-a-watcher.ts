// Run by watch.test.ts as a separate process, since the test runner has timers of its own. Prints what keeps the
// process alive before, with and after a watcher. It must then end by itself.
import { setImmediate as nextTurn } from "node:timers/promises";
import { FileWatcher } from "../../src/config/watch.ts";

const [file = ""] = process.argv.slice(2);
const anHourMs = 3_600_000;

/** The event loop releases closed handles a turn later. */
async function held(): Promise<string[]> {
  await nextTurn();
  await nextTurn();
  return process.getActiveResourcesInfo().filter((kind) => kind === "Timeout" || kind.startsWith("FSEvent"));
}

const before = await held();
let onEvent: (name: string | null) => void = () => {};
const options = { files: [file], pollMs: anHourMs, debounceMs: anHourMs, onChange: () => {}, onWarning: () => {} };
const idle = new FileWatcher(options);
const waiting = new FileWatcher({
  ...options,
  watchDirectory: (_directory, listener) => {
    onEvent = listener;
    return { close: () => {}, on: () => {} };
  },
});
onEvent(null);
const during = await held();
idle.close();
waiting.close();
waiting.close();
const after = await held();
console.log(JSON.stringify({ before, during: during.sort(), after }));
