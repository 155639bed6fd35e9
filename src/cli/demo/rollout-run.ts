import { randomUUID } from "node:crypto";
import { defaultWarmUp } from "../../app/warm-up.ts";
import type { RolloutStatus } from "../../rollout/rollouts-api.ts";
import type { WarmUpSpec } from "../../workers/messages.ts";
import type { ExitCode, Terminal } from "../command.ts";
import { printJson } from "../load-config.ts";
import { Crowd } from "./crowd.ts";
import { rolloutLines } from "./rollout-lines.ts";
import { RolloutTally } from "./rollout-tally.ts";
import { type DemoStep, demoRelease, type Stage, type StagePorts, startStage } from "./stage.ts";
import { Tally } from "./tally.ts";

const liveSteps: readonly DemoStep[] = [
  { weight: 5, hold: "10s" },
  { weight: 25, hold: "15s" },
  { weight: 50, hold: "15s" },
];
/** The second step has begun. */
const breaksAfterMs = 15_000;

const stepsOnce: readonly DemoStep[] = [{ weight: 10, hold: "1m" }];
const breaksAfterMsOnce = 2_000;
/** A broken canary is found within a second or two; then something is wrong with the demo itself. */
const limitMsOnce = 30_000;
/** For how long after the rollback requests are watched. */
const watchMsOnce = 1_500;

const noSplit = { stable: 100, canary: 0 };

/** A crowd in front of a rollout, and what it meets. */
class RolloutShow {
  readonly tally = new Tally(noSplit);
  readonly rolloutTally = new RolloutTally();
  /** Resolves once the canary was rolled back. */
  readonly rolledBack: Promise<void>;
  readonly #stage: Stage;
  readonly #crowd: Crowd;

  private constructor(stage: Stage) {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.rolledBack = promise;
    this.#stage = stage;
    const monotonicMs = () => performance.now();
    stage.rollouts.subscribe(({ type }) => {
      if (type !== "rolled-back") return;
      this.rolloutTally.rolledBack(monotonicMs());
      resolve();
    });
    const tally: Pick<Tally, "add"> = {
      add: (user, answer) => {
        this.tally.add(user, answer);
        this.rolloutTally.add(user, answer);
      },
    };
    this.#crowd = new Crowd({ proxyOrigin: stage.proxyOrigin, tally, run: randomUUID(), monotonicMs });
  }

  static async open(steps: readonly DemoStep[], ports: StagePorts, warmUp?: WarmUpSpec): Promise<RolloutShow> {
    return new RolloutShow(await startStage({ split: noSplit, steps, ports, warmUp }));
  }

  get stage(): Stage {
    return this.#stage;
  }

  get status(): RolloutStatus {
    const status = this.#stage.rollouts.of(demoRelease);
    if (status === undefined) throw new Error("the demo's rollout does not run");
    return status;
  }

  lines(maxLines?: number): string[] {
    return rolloutLines(this.tally.report(), this.status, this.rolloutTally, maxLines);
  }

  /** `users` are present until `close`. */
  start(users: number): void {
    this.#crowd.start(users);
  }

  breakAfter(ms: number): void {
    setTimeout(() => this.#stage.breakCanary(), ms).unref();
  }

  async close(): Promise<void> {
    await this.#crowd.close();
    await this.#stage.close();
  }
}

/** What the live table shows until it ends. */
export interface LiveShow {
  readonly stage: Stage;
  /** At most `maxLines`, as far as details can be left out. */
  lines(maxLines: number): string[];
  start(users: number): void;
  /** Stops everything; the last lines, as for `lines`, and whether all went as it should. Default: all lines. */
  end(maxLines?: number): Promise<{ readonly lines: readonly string[]; readonly ok: boolean }>;
}

/** A rollout that moves through its steps while users come and go; `breaks`: and meets a canary that fails. */
export async function startLiveRollout(ports: StagePorts, breaks: boolean): Promise<LiveShow> {
  const show = await RolloutShow.open(liveSteps, ports, defaultWarmUp);
  return {
    stage: show.stage,
    lines: (maxLines) => show.lines(maxLines),
    start(users) {
      show.start(users);
      if (breaks) show.breakAfter(breaksAfterMs);
    },
    async end(maxLines) {
      const lines = show.lines(maxLines);
      const { movedBack, badUsers, afterRollback } = show.rolloutTally;
      await show.close();
      return { lines, ok: movedBack === 0 && afterRollback === 0 && (breaks || badUsers === 0) };
    },
  };
}

/** Breaks the canary, waits until it is rolled back, and prints what it cost. */
export async function runBrokenCanary(
  { users, json }: { readonly users: number; readonly json: boolean },
  terminal: Terminal,
): Promise<ExitCode> {
  const show = await RolloutShow.open(stepsOnce, { proxyPort: 0, adminPort: 0 });
  const limit = AbortSignal.timeout(limitMsOnce);
  const tooLate = Promise.withResolvers<void>();
  limit.addEventListener("abort", () => tooLate.resolve());
  try {
    show.start(users);
    show.breakAfter(breaksAfterMsOnce);
    await Promise.race([show.rolledBack, tooLate.promise]);
    await new Promise((resolve) => setTimeout(resolve, watchMsOnce));
    const { phase, why } = show.status;
    const { badUsers, afterRollback } = show.rolloutTally;
    if (json) printJson({ phase, why, badUsers, afterRollback }, terminal);
    else terminal.out(`${show.lines().join("\n")}\n`);
    return phase === "rolled-back" && afterRollback === 0 ? 0 : 1;
  } finally {
    await show.close();
  }
}
