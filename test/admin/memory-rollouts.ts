import type { AccessPolicy } from "../../src/admin/access.ts";
import type { AdminView } from "../../src/admin/api.ts";
import type { AuditEntry } from "../../src/admin/audit.ts";
import type { LoadPage } from "../../src/admin/page/page-files.ts";
import type { Planner } from "../../src/admin/plan-bodies.ts";
import { createAdminServer } from "../../src/admin/server.ts";
import type { RolloutEvent, SplitOverride } from "../../src/rollout/rollout-state.ts";
import type {
  Change,
  ChangeAnswer,
  RolloutStatus,
  Rollouts,
  SplitAnswer,
  Verb,
} from "../../src/rollout/rollouts-api.ts";
import { MemoryLive } from "./memory-live.ts";
import { MemoryPlanner } from "./memory-planner.ts";

const check = {
  name: "errors",
  metric: "errors",
  verdict: "not-enough-data",
  atMs: null,
  baseline: { users: 90, bad: 1 },
  candidate: { users: 10, bad: 0 },
  evidence: 0.5,
  limit: 400,
  interval: null,
  why: "1 of 100 users met an error",
} as const;

const totals = { baseline: { good: 90, failed: 1 }, candidate: { good: 10, failed: 0 } };

const shop: RolloutStatus = {
  release: "shop",
  id: "2.4.0",
  baseline: "stable",
  candidate: "canary",
  phase: "progressing",
  why: "started by the configuration",
  sinceMs: 0,
  revision: 7,
  sentence: "Step 2 of 3: 10 % for 4 more minutes; no check fails.",
  step: 2,
  steps: [
    { title: "1 %", state: "done", weight: 1, holdMs: 300_000, heldMs: 300_000, atLeastUsers: 0 },
    { title: "10 %", state: "current", weight: 10, holdMs: 600_000, heldMs: 360_000, atLeastUsers: 500 },
    { title: "pause", state: "next", weight: null, holdMs: 0, heldMs: 0, atLeastUsers: 0 },
  ],
  weight: 10,
  checks: [check],
  users: { baseline: { users: 90, bad: 1 }, candidate: { users: 10, bad: 0 } },
  stepUsers: { baseline: 80, candidate: 9 },
  placed: totals,
  drawn: totals,
  startedAtMs: 0,
  stateProblem: null,
};

export function event(id: number, changes: Partial<RolloutEvent> = {}): RolloutEvent {
  const where = { release: "shop", rollout: "2.4.0", phase: "progressing", step: 2, weight: 10 } as const;
  return { id, atMs: 0, ...where, type: "step", by: "perch", why: `why of ${id}`, evidence: [check], ...changes };
}

/** A rollout of `shop` that can be paused once and stepped at will. */
export class MemoryRollouts implements Rollouts {
  status: RolloutStatus = shop;
  events: readonly RolloutEvent[] = [1, 2, 3].map((id) => event(id));
  readonly changes: Change[] = [];
  readonly #listeners = new Set<(event: RolloutEvent) => void>();

  get revision(): number {
    return this.status.revision;
  }

  get followers(): number {
    return this.#listeners.size;
  }

  all = () => [this.status];
  of = (release: string) => (release === "shop" ? this.status : undefined);
  splits = (): SplitOverride[] => [{ release: "shop", split: { stable: 1 }, untilMs: 0, by: "x", why: "" }];
  rollbacks = () => [];
  eventsAfter = (id: number) => this.events.filter((known) => known.id > id);

  happens(...events: readonly RolloutEvent[]): void {
    this.events = [...this.events, ...events];
    for (const happened of events) for (const listener of this.#listeners) listener(happened);
  }

  subscribe(listener: (event: RolloutEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async change(release: string, verb: Verb, change: Change): Promise<ChangeAnswer> {
    if (release !== "shop") return { kind: "refused", cause: "no-rollout", message: `release ${release} has none` };
    if (this.#conflicts(change)) return this.#conflict();
    if (verb !== "pause" && verb !== "step") return { kind: "refused", cause: "wrong-phase", message: "Not now." };
    const changed = verb === "step" || this.status.phase !== "paused";
    if (changed) {
      this.changes.push(change);
      const phase = verb === "pause" ? "paused" : this.status.phase;
      this.status = { ...this.status, phase, revision: this.revision + 1, why: change.why };
    }
    return { kind: "done", status: this.status, changed };
  }

  async setSplit(
    release: string,
    split: Record<string, number>,
    forMs: number | undefined,
    change: Change,
  ): Promise<SplitAnswer> {
    if (this.#conflicts(change)) return this.#conflict();
    this.changes.push(change);
    this.status = { ...this.status, revision: this.revision + 1 };
    const override = { release, split, untilMs: forMs ?? null, by: change.by, why: change.why };
    return { kind: "done", split: override, revision: this.revision };
  }

  async endSplit(release: string, change: Change): Promise<SplitAnswer> {
    const split = this.splits().find((each) => each.release === release);
    if (split === undefined) return { kind: "refused", cause: "no-rollout", message: `release ${release} has none` };
    if (this.#conflicts(change)) return this.#conflict();
    this.changes.push(change);
    this.status = { ...this.status, revision: this.revision + 1 };
    return { kind: "done", split, revision: this.revision };
  }

  #conflicts({ ifRevision }: Change): boolean {
    return ifRevision !== undefined && ifRevision !== this.revision;
  }

  #conflict() {
    return { kind: "refused", cause: "conflict", message: `The revision is ${this.revision}.` } as const;
  }
}

const token = "0123456789abcdef".repeat(2);
export const bearer = { authorization: `Bearer ${token}` };

export interface AdminSetup {
  readonly heartbeatMs?: number;
  readonly tokens?: () => readonly string[];
  readonly view?: Partial<AdminView>;
  readonly page?: LoadPage;
  /** Default: the test fails. */
  readonly onFailure?: (error: Error) => void;
  readonly planner?: Planner;
  readonly withoutToken?: AccessPolicy["withoutToken"];
  /** Default: loopback. */
  readonly listenHost?: string;
}

/** An admin server over `MemoryRollouts`, not listening, and what it audited. */
export function adminOf(rollouts: Rollouts | undefined, setup: AdminSetup = {}) {
  const { heartbeatMs, tokens, page, planner = new MemoryPlanner(), withoutToken } = setup;
  const { listenHost = "127.0.0.1", onFailure = fail } = setup;
  const audited: AuditEntry[] = [];
  const view: AdminView = {
    rollouts,
    planner,
    metrics: async () => ({ contentType: "text/plain", body: "" }),
    readiness: () => "ready",
    config: () => ({
      active: { file: undefined, hash: "abc", loadedAtMs: 0, warnings: [] },
      lastError: undefined,
      restartNeeded: [],
    }),
    releases: async () => [],
    endpoints: async () => [],
    kubernetesServices: () => [],
    explain: async () => ({ kind: "explained", explanation: {} }),
    live: new MemoryLive(),
    ...setup.view,
  };
  const server = createAdminServer(view, {
    listenHost,
    access: () => ({
      tokens: (tokens?.() ?? [token]).map((each) => Buffer.from(each)),
      withoutToken: withoutToken ?? "probes-and-metrics",
    }),
    nowMs: () => 0,
    monotonicMs: () => 0,
    audit: (entry) => audited.push(entry),
    onFailure,
    ...(heartbeatMs === undefined ? {} : { heartbeatMs }),
    ...(page === undefined ? {} : { page }),
  });
  return { server, audited };
}

function fail(error: Error): void {
  throw error;
}
