import type { LoadedConfig } from "../config/load.ts";
import type { Logger } from "../observe/log.ts";
import { RolloutController } from "../rollout/controller.ts";
import type { Initial } from "../rollout/controller-parts.ts";
import { Notifier } from "../rollout/external/notifier.ts";
import type { NotifyCounts } from "../rollout/external/notify-queue.ts";
import { planner } from "../rollout/plan/planner.ts";
import { ReleaseJudge } from "../rollout/release-judge.ts";
import { StateFile } from "../rollout/state/state-file.ts";
import { MemoryState } from "../rollout/state/state-store.ts";
import { scheduleUnref } from "../upstream/clock.ts";
import { type DataPlane, StartError } from "./data-plane.ts";

export interface RolloutsParts {
  /** Undefined: nothing outlives the process. */
  readonly stateFile: string | undefined;
  readonly log: Logger;
  readonly nowMs: () => number;
}

/** The rollouts of this process: their controller, with all that it acts through. */
export class RunningRollouts {
  readonly controller: RolloutController;
  readonly #store: MemoryState | StateFile;
  readonly #notifier: Notifier;
  readonly #log: Logger;
  #dataPlane: DataPlane | undefined;

  private constructor(parts: RolloutsParts, store: MemoryState | StateFile, initial: Initial) {
    const { log, nowMs } = parts;
    this.#log = log;
    this.#store = store;
    this.#notifier = new Notifier({ log, nowMs, schedule: scheduleUnref, randomFraction: Math.random });
    this.controller = new RolloutController(
      {
        store,
        planner,
        judge: (release, spec, saved, changed) =>
          new ReleaseJudge(release, spec, saved, { nowMs, schedule: scheduleUnref, changed }),
        act: async (directions) => this.#dataPlane?.direct(directions),
        notify: ({ notify }, event) => this.#notifier.notify(notify, event),
        log,
        nowMs,
        schedule: scheduleUnref,
      },
      initial,
    );
  }

  /** Rejects with a `StartError` if another process uses the state file. */
  static async open(parts: RolloutsParts): Promise<RunningRollouts> {
    const { stateFile } = parts;
    const opening = stateFile === undefined ? undefined : await StateFile.open(stateFile);
    if (opening?.kind === "in-use") throw new StartError([`perch: ${opening.problem}`]);
    const { file: store = new MemoryState(), saved, problem } = opening ?? {};
    return new RunningRollouts(parts, store, { saved, problem });
  }

  /**
   * Begins with the first configuration, before the data plane listens. A rollout that cannot continue with it does not
   * run, and its split applies. That is logged, and does not stop Perch from serving.
   */
  async begin({ compiled }: LoadedConfig, dataPlane: DataPlane): Promise<void> {
    const { problems, commit } = this.controller.prepare(compiled.releases);
    for (const { release, message } of problems) this.#log.error({ release }, `the rollout does not run: ${message}`);
    await commit();
    this.#dataPlane = dataPlane;
    await dataPlane.direct(this.controller.directions);
  }

  /** What became of the notifications since the process started. */
  get notifications(): Readonly<NotifyCounts> {
    return this.#notifier.counts;
  }

  async close(): Promise<void> {
    await this.controller.close();
    await this.#notifier.close();
    await this.#store.close();
  }
}
