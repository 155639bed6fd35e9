import { describe, expect, it } from "vitest";
import { StopSignals } from "../../src/cli/stop-signals.ts";
import { freeAfterTest } from "../kit/freed.ts";

const npm = { npm_lifecycle_event: "start" };

/** What the signals lead to, each sent at a time in milliseconds. */
function calls(env: Record<string, string>, signals: readonly (readonly ["SIGINT" | "SIGTERM" | "SIGHUP", number])[]) {
  const called: string[] = [];
  let nowMs = 0;
  const stopSignals = new StopSignals(
    {
      stop: (why) => called.push(`stop: ${why}`),
      stopNow: () => called.push("stop now"),
      hangUp: () => called.push("hang up"),
    },
    env,
    () => nowMs,
  );
  freeAfterTest(async () => stopSignals.release());
  for (const [signal, atMs] of signals) {
    nowMs = atMs;
    process.emit(signal);
  }
  stopSignals.release();
  return called;
}

describe("StopSignals", () => {
  it.each([
    ["one SIGTERM", {}, [["SIGTERM", 0]], ["stop: SIGTERM"]],
    [
      "SIGINT twice at once",
      {},
      [
        ["SIGINT", 0],
        ["SIGINT", 1],
      ],
      ["stop: SIGINT", "stop now"],
    ],
    [
      "SIGINT twice, a second apart",
      {},
      [
        ["SIGINT", 0],
        ["SIGINT", 1_000],
      ],
      ["stop: SIGINT", "stop now"],
    ],
    [
      "SIGTERM twice, a second apart",
      {},
      [
        ["SIGTERM", 0],
        ["SIGTERM", 1_000],
      ],
      ["stop: SIGTERM", "stop now"],
    ],
    [
      "SIGINT, then SIGTERM",
      {},
      [
        ["SIGINT", 0],
        ["SIGTERM", 1_000],
      ],
      ["stop: SIGINT", "stop now"],
    ],
    [
      "SIGTERM twice at once, as timeout(1) sends it",
      {},
      [
        ["SIGTERM", 0],
        ["SIGTERM", 1],
      ],
      ["stop: SIGTERM"],
    ],
    [
      "SIGINT twice at once under npm, which passes it on",
      npm,
      [
        ["SIGINT", 0],
        ["SIGINT", 9],
      ],
      ["stop: SIGINT"],
    ],
    [
      "SIGINT twice under npm",
      npm,
      [
        ["SIGINT", 0],
        ["SIGINT", 500],
      ],
      ["stop: SIGINT", "stop now"],
    ],
    [
      "SIGINT, then SIGTERM at once under npm: npm passes on the same signal",
      npm,
      [
        ["SIGINT", 0],
        ["SIGTERM", 9],
      ],
      ["stop: SIGINT", "stop now"],
    ],
    [
      "SIGTERM, then Ctrl-C at once",
      {},
      [
        ["SIGTERM", 0],
        ["SIGINT", 9],
      ],
      ["stop: SIGTERM", "stop now"],
    ],
    [
      "SIGHUP",
      {},
      [
        ["SIGHUP", 0],
        ["SIGHUP", 1],
      ],
      ["hang up", "hang up"],
    ],
  ] as const)("%s", (_sentence, env, signals, wanted) => {
    expect(calls(env, signals)).toEqual(wanted);
  });
});
