/** The Perch of `reload-cost.ts`, whole: it tells how long its event loop was held, and when a reload is over. */
import { App } from "../src/app/app.ts";
import { endWithParent, tellParent } from "./parent.ts";

export interface ReloadPlaneListening {
  readonly port: number;
}

/** Asks for a window: it ends with the next reload, or at once. */
export interface ReloadWindow {
  readonly ends: "with-reload" | "now";
}

/** The longest that its event loop was held since the window before. */
export interface ReloadPlaneWindow {
  readonly pauseMs: number;
  /** The same in CPU time of its thread: other programs do not count. */
  readonly cpuMs: number;
}

const pollMs = 5;

const app = await App.start({
  source: { kind: "file", path: String(process.env["BENCH_CONFIG"]) },
  env: {},
  logLevel: "error",
  drainDelayMs: 0,
  drainTimeoutMs: 0,
});
endWithParent();
const longest = { pauseMs: 0, cpuMs: 0 };

function cpuNowMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1_000;
}

/** Looks once a millisecond. */
function watchLoop(beforeMs: number, beforeCpuMs: number): void {
  const [nowMs, nowCpuMs] = [performance.now(), cpuNowMs()];
  longest.pauseMs = Math.max(longest.pauseMs, nowMs - beforeMs - 1);
  longest.cpuMs = Math.max(longest.cpuMs, nowCpuMs - beforeCpuMs);
  setTimeout(watchLoop, 1, nowMs, nowCpuMs);
}

let seen = 0;

/** Whether a reload was logged since the last call. */
function isReloaded(): boolean {
  const entries = app.live.logAfter(seen);
  seen = entries.at(-1)?.id ?? seen;
  return entries.length > 0;
}

function tellWindow(): void {
  tellParent({ ...longest } satisfies ReloadPlaneWindow);
  Object.assign(longest, { pauseMs: 0, cpuMs: 0 });
}

watchLoop(performance.now(), cpuNowMs());
isReloaded();
process.on("message", ({ ends }: ReloadWindow) => {
  if (ends === "now") {
    tellWindow();
    return;
  }
  const poll = setInterval(() => {
    if (!isReloaded()) return;
    clearInterval(poll);
    // The first look of the live view at the new configuration belongs to the reload.
    setTimeout(tellWindow, 1_100);
  }, pollMs);
});
const [bound] = app.listeners;
const port = typeof bound?.address === "object" ? bound.address.port : 0;
tellParent({ port } satisfies ReloadPlaneListening);
