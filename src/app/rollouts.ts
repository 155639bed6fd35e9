import { join } from "node:path";
import type { SharedStateSpec } from "../config/compiled-config.ts";
import type { LoadedConfig } from "../config/load.ts";
import type { Logger } from "../observe/log.ts";
import { RolloutController } from "../rollout/controller.ts";
import type { ControllerParts, RolloutRunner } from "../rollout/controller-parts.ts";
import { Notifier } from "../rollout/external/notifier.ts";
import type { NotifyCounts } from "../rollout/external/notify-queue.ts";
import { planner } from "../rollout/plan/planner.ts";
import { ReleaseJudge } from "../rollout/release-judge.ts";
import { StateFile } from "../rollout/state/state-file.ts";
import { MemoryState } from "../rollout/state/state-store.ts";
import { scheduleUnref } from "../upstream/clock.ts";
import { type DataPlane, StartError } from "./data-plane.ts";
import type { SharedReplicas } from "./replicas/replicas.ts";

export interface RolloutsParts {
  /** Undefined: nothing outlives the process. */
  readonly stateFile: string | undefined;
  /** Where a copy of a shared state is kept; undefined: nowhere. */
  readonly stateDir: string | undefined;
  /** Where several replicas keep one state; undefined: this process is alone. */
  readonly sharedState: SharedStateSpec | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly log: Logger;
  readonly nowMs: () => number;
}

/** The rollouts of this process: what controls them, with all that it acts through. */
export class RunningRollouts {
  readonly controller: RolloutRunner;
  /** Undefined where the state is not shared. */
  readonly replicas: SharedReplicas | undefined;
  readonly #store: MemoryState | StateFile | undefined;
  readonly #outside: Outside;

  private constructor(
    outside: Outside,
    controller: RolloutRunner,
    store?: MemoryState | StateFile,
    replicas?: SharedReplicas,
  ) {
    this.#outside = outside;
    this.controller = controller;
    this.#store = store;
    this.replicas = replicas;
  }

  /** Rejects with a `StartError` if another process uses the state file, or if a shared state cannot be reached. */
  static async open({ stateFile, stateDir, sharedState, env, log, nowMs }: RolloutsParts): Promise<RunningRollouts> {
    const outside = new Outside(log, nowMs);
    if (sharedState !== undefined) {
      const { SharedReplicas } = await import("./replicas/replicas.ts");
      const token = () => outside.token;
      const copyFile = stateDir === undefined ? undefined : join(stateDir, "shared-state.json");
      const replicas = await SharedReplicas.open({
        spec: sharedState,
        env,
        log,
        token,
        copyFile,
        parts: outside.parts,
      });
      return new RunningRollouts(outside, replicas.rollouts, undefined, replicas);
    }
    const opening = stateFile === undefined ? undefined : await StateFile.open(stateFile);
    if (opening?.kind === "in-use") throw new StartError([`perch: ${opening.problem}`]);
    const { file: store = new MemoryState(), saved, problem } = opening ?? {};
    return new RunningRollouts(outside, new RolloutController({ ...outside.parts, store }, { saved, problem }), store);
  }

  /**
   * Begins with the first configuration, before the data plane listens. A rollout that cannot continue with it does not
   * run, and its split applies. That is logged, and does not stop Perch from serving.
   */
  async begin({ compiled }: LoadedConfig, dataPlane: DataPlane): Promise<void> {
    const { problems, commit } = this.controller.prepare(compiled.releases);
    const { log } = this.#outside.parts;
    for (const { release, message } of problems) log.error({ release }, `the rollout does not run: ${message}`);
    await commit();
    this.#outside.dataPlane = dataPlane;
    await dataPlane.direct(this.controller.directions);
  }

  /** What became of the notifications since the process started. */
  get notifications(): Readonly<NotifyCounts> {
    return this.#outside.notifier.counts;
  }

  async close(): Promise<void> {
    await (this.replicas ?? this.controller).close();
    await this.#outside.notifier.close();
    await this.#store?.close();
  }
}

/** What rollouts act through, besides their store. */
class Outside {
  readonly notifier: Notifier;
  readonly parts: Omit<ControllerParts, "store">;
  dataPlane: DataPlane | undefined;

  constructor(log: Logger, nowMs: () => number) {
    this.notifier = new Notifier({ log, nowMs, schedule: scheduleUnref, randomFraction: Math.random });
    this.parts = {
      planner,
      judge: (release, spec, saved, changed) =>
        new ReleaseJudge(release, spec, saved, { nowMs, schedule: scheduleUnref, changed }),
      act: async (directions) => this.dataPlane?.direct(directions),
      notify: ({ notify }, event) => this.notifier.notify(notify, event),
      log,
      nowMs,
      schedule: scheduleUnref,
    };
  }

  /** Of the configuration that is active, the first. */
  get token(): string | undefined {
    const [token] = this.dataPlane?.active.current.config.adminAccess.tokens ?? [];
    return token && Buffer.from(token).toString("latin1");
  }
}
