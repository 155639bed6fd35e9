import type { ExportedMetric, Sample } from "../stats-group.ts";

/** Where a release's rollout stands, and what its checks say. */
interface RolloutGauges {
  readonly release: string;
  readonly phase: string;
  /** From 1; 0 before the first. */
  readonly step: number;
  readonly baseline: string;
  readonly candidate: string;
  /** Drawn users of the whole rollout; `bad`: those of them that met a failure. */
  readonly users: { readonly baseline: UserCounts; readonly candidate: UserCounts };
  readonly checks: readonly CheckGauges[];
  /** Why the state cannot be saved or used; null if all is well. */
  readonly stateProblem: string | null;
}

interface UserCounts {
  readonly users: number;
  readonly bad: number;
}

interface CheckGauges {
  readonly name: string;
  readonly metric: string;
  readonly verdict: string;
  readonly evidence: number | null;
  readonly limit: number | null;
}

interface Rollbacks {
  readonly release: string;
  readonly reason: string;
  readonly count: number;
}

/** What the exporter asks of rollouts at each scrape. */
export interface RolloutsSource {
  readonly all: () => readonly RolloutGauges[];
  /** Since the process started. */
  readonly rollbacks: () => readonly Rollbacks[];
  /** Releases that have a rollout in the configuration, and whether it runs. */
  readonly configured: () => Iterable<{ readonly release: string; readonly runs: boolean }>;
  /** Where several replicas share the state: whether this one leads, and reports that were dropped since it started. */
  readonly replica?: () => { readonly leads: boolean; readonly droppedReports: number } | undefined;
  /** Since the process started. */
  readonly notifications: () => Readonly<Record<"delivered" | "failed" | "dropped", number>>;
}

/** What a rollback may be counted under. Each is exported from 0 on: of a new series no increase can be told. */
const reasons = ["errors", "slow", "prometheus", "drift", "cap", "catastrophe", "operator", "configuration"] as const;

/** `source`: undefined where there are no rollouts; the metrics are declared all the same. */
export function rolloutMetrics(source: RolloutsSource | undefined): readonly ExportedMetric[] {
  const all = source?.all ?? (() => []);
  return [
    gauge("perch_rollout_phase", "1 for the phase that the release's rollout is in.", function* () {
      for (const { release, phase } of all()) yield { labels: { release, phase }, value: 1 };
    }),
    gauge("perch_rollout_step", "The rollout's current step, from 1; 0 before the first.", function* () {
      for (const { release, step } of all()) yield { labels: { release }, value: step };
    }),
    gauge("perch_rollout_runs", "0 if the configured rollout was rejected: the split applies.", function* () {
      for (const { release, runs } of source?.configured() ?? []) yield { labels: { release }, value: runs ? 1 : 0 };
    }),
    gauge("perch_rollout_users", "Users that the rollout drew to the version.", () => usersOf(all(), "users")),
    gauge("perch_rollout_bad_users", "Those of them that got an error.", () => usersOf(all(), "bad")),
    ...checkMetrics(all),
    counter("perch_rollbacks_total", "Rollbacks since the process started.", () => rollbacksOf(source)),
    counter("perch_rollout_notifications_total", "Notifications of rollouts, by what became of them.", function* () {
      for (const [result, value] of Object.entries(source?.notifications() ?? {})) yield { labels: { result }, value };
    }),
    gauge("perch_replica_leads", "1 for the replica that leads the rollouts that several share.", function* () {
      const replica = source?.replica?.();
      if (replica !== undefined) yield { labels: {}, value: replica.leads ? 1 : 0 };
    }),
    counter("perch_replica_reports_dropped_total", "Reports that the leader has not got in time.", function* () {
      const replica = source?.replica?.();
      if (replica !== undefined) yield { labels: {}, value: replica.droppedReports };
    }),
    gauge(
      "perch_state_last_save_successful",
      "1, or 0 if the state of rollouts cannot be saved or used.",
      function* () {
        if (source !== undefined) yield { labels: {}, value: all().some(isUnsaved) ? 0 : 1 };
      },
    ),
  ];
}

const verdictValue: Readonly<Record<string, number>> = { pass: 1, fail: -1 };

function checkMetrics(all: RolloutsSource["all"]): readonly ExportedMetric[] {
  const ofChecks = function* (sample: (check: CheckGauges) => { value: number | null; labels?: Sample["labels"] }) {
    for (const { release, checks } of all()) {
      for (const check of checks) {
        const { labels, value } = sample(check);
        if (value !== null) yield { labels: { release, check: check.name, ...labels }, value };
      }
    }
  };
  return [
    gauge("perch_check_verdict", "1 for the verdict that the check has.", () =>
      ofChecks(({ verdict }) => ({ labels: { verdict }, value: 1 })),
    ),
    gauge("perch_check_evidence", "The check's e-value, or the value that its query gave.", () =>
      ofChecks(({ evidence }) => ({ value: evidence })),
    ),
    gauge("perch_check_limit", "What the check's evidence is compared with.", () =>
      ofChecks(({ limit }) => ({ value: limit })),
    ),
    gauge("perch_check_info", "Always 1; the label says what the check looks at.", () =>
      ofChecks(({ metric }) => ({ labels: { metric }, value: 1 })),
    ),
    gauge("perch_drift_verdict", "Drift of the drawn shares: 1 none, 0 not enough data, -1 found.", function* () {
      for (const { release, checks } of all()) {
        const drift = checks.find(({ metric }) => metric === "drift");
        if (drift !== undefined) yield { labels: { release }, value: verdictValue[drift.verdict] ?? 0 };
      }
    }),
  ];
}

function* usersOf(rollouts: readonly RolloutGauges[], count: keyof UserCounts): Iterable<Sample> {
  for (const { release, baseline, candidate, users } of rollouts) {
    yield { labels: { release, version: baseline }, value: users.baseline[count] };
    yield { labels: { release, version: candidate }, value: users.candidate[count] };
  }
}

function* rollbacksOf(source: RolloutsSource | undefined): Iterable<Sample> {
  const counted = source?.rollbacks() ?? [];
  for (const { count, ...labels } of counted) yield { labels, value: count };
  for (const { release } of source?.all() ?? []) {
    const known = new Set(counted.filter((each) => each.release === release).map(({ reason }) => reason));
    for (const reason of reasons) if (!known.has(reason)) yield { labels: { release, reason }, value: 0 };
  }
}

const isUnsaved = ({ stateProblem }: RolloutGauges): boolean => stateProblem !== null;

function gauge(name: string, help: string, samples: () => Iterable<Sample>): ExportedMetric {
  return { name, help, type: "gauge", samples };
}

function counter(name: string, help: string, samples: () => Iterable<Sample>): ExportedMetric {
  return { name, help, type: "counter", samples };
}
