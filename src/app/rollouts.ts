import type { LoadedConfig } from "../config/load.ts";
import type { Logger } from "../observe/log.ts";
import { RolloutController } from "../rollout/controller.ts";
import type { Orders } from "../rollout/controller-parts.ts";
import { MemoryState } from "../rollout/memory-state.ts";
import { Notifier } from "../rollout/notifier.ts";
import { planner } from "../rollout/plan/planner.ts";
import { ReleaseJudge } from "../rollout/release-judge.ts";
import { StateFile } from "../rollout/state-file.ts";
import { scheduleUnref } from "../upstream/clock.ts";
import { StartError } from "./data-plane.ts";

export interface RolloutsParts {
  /** Undefined: nothing outlives the process. */
  readonly stateFile: string | undefined;
  /** As in `ControllerParts`. */
  readonly act: (orders: Orders) => Promise<void>;
  readonly log: Logger;
  readonly nowMs: () => number;
}

/** The rollouts of this process: their controller, with all that it acts through. */
export class RunningRollouts {
  readonly controller: RolloutController;
  readonly #store: MemoryState | StateFile;
  readonly #notifier: Notifier;

  private constructor(controller: RolloutController, store: MemoryState | StateFile, notifier: Notifier) {
    this.controller = controller;
    this.#store = store;
    this.#notifier = notifier;
  }

  /** Rejects with a `StartError` if another process uses the state file. */
  static async start({ stateFile, act, log, nowMs }: RolloutsParts): Promise<RunningRollouts> {
    const opening = stateFile === undefined ? undefined : await StateFile.open(stateFile);
    if (opening?.kind === "in-use") throw new StartError([`perch: ${opening.problem}`]);
    const { file: store = new MemoryState(), saved, problem } = opening ?? {};
    const notifier = new Notifier({ log, nowMs, schedule: scheduleUnref, randomFraction: Math.random });
    const changed = () => {};
    const controller = new RolloutController(
      {
        store,
        planner,
        judge: (release, spec, before) =>
          new ReleaseJudge(release, spec, before, { nowMs, schedule: scheduleUnref, changed }),
        act,
        notify: (spec, event) => notifier.notify(spec.notify, event),
        log,
        nowMs,
        schedule: scheduleUnref,
      },
      { saved, problem },
    );
    return new RunningRollouts(controller, store, notifier);
  }

  /**
   * The first configuration. A rollout that cannot go on with it does not run, and its split holds: that is said in the
   * log, and is no reason to serve nobody.
   */
  async begin({ compiled }: LoadedConfig, log: Logger): Promise<void> {
    const { problems, commit } = this.controller.prepare(compiled.releases);
    for (const { release, message } of problems) log.error({ release }, `the rollout does not run: ${message}`);
    await commit();
  }

  async close(): Promise<void> {
    await this.controller.close();
    await this.#notifier.close();
    await this.#store.close();
  }
}
