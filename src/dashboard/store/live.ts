import { batch, computed, signal } from "@preact/signals";
import type { ConfigBody } from "../../admin/api.ts";
import type { EndpointReport } from "../../admin/endpoint-report.ts";
import type { LiveRelease, RecentBody, TickBody, VersionTick } from "../../admin/live/live-bodies.ts";
import type { RolloutBody, RolloutsBody, SplitBody } from "../../admin/rollout-body.ts";
import { EventStream, type StreamState } from "./event-stream.ts";
import { type LogLine, LogLines } from "./log-lines.ts";
import { RecentErrors } from "./recent-errors.ts";
import type { Access } from "./session.ts";
import type { ServerEvent } from "./sse-reader.ts";

type RuleHits = Readonly<Record<string, readonly [hits: number, lastMs: number | null]>>;

interface Parts {
  readonly config: ConfigBody;
  readonly rollouts: RolloutsBody;
  readonly endpoints: readonly EndpointReport[];
  readonly releases: readonly LiveRelease[];
}

interface StateEvent extends Parts {
  readonly instance: string;
  readonly version: string;
  readonly now: string;
  readonly access: Access;
  readonly ruleHits: Readonly<Record<string, RuleHits>>;
  readonly recent: RecentBody;
  readonly tick: TickBody | null;
}

/** What the page knows. Each part is undefined until the server has told it. */
export const config = signal<ConfigBody | undefined>(undefined);
const rollouts = signal<RolloutsBody | undefined>(undefined);
export const endpoints = signal<readonly EndpointReport[]>([]);
export const releases = signal<readonly LiveRelease[] | undefined>(undefined);
export const ruleHits = signal<Readonly<Record<string, RuleHits>>>({});
export const tick = signal<TickBody | undefined>(undefined);
export const access = signal<Access>({ caller: null, change: "token-needed" });
/** Names the process that answers; another one has other counts. */
export const server = signal<{ readonly instance: string; readonly version: string } | undefined>(undefined);
export const connection = signal<StreamState>({ kind: "connecting" });
/** By the clock of this machine: when something came last. */
export const heardMs = signal<number | undefined>(undefined);
/** Moves once a second, so that what is stale is seen to be so. */
export const nowMs = signal(Date.now());
/** How far the server's clock is ahead of this one's. */
const aheadMs = signal(0);
export const log = new LogLines();
export const recentErrors = new RecentErrors();

const staleAfterMs = 4_000;

/** Whether the figures that are shown are old: nothing newer came for a few seconds. */
export const isStale = computed(() => {
  const heard = heardMs.value;
  return heard !== undefined && (connection.value.kind !== "open" || nowMs.value - heard > staleAfterMs);
});

/** The server's time, as nearly as it is known. */
export const serverNowMs = computed(() => nowMs.value + aheadMs.value);

export function rolloutOf(release: string): RolloutBody | undefined {
  return rollouts.value?.rollouts.find((rollout) => rollout.release === release);
}

/** What a change answered: so that the next one is asked from there, before the stream has told it. */
export function takeRollout(changed: RolloutBody): void {
  const known = rollouts.value;
  if (known === undefined) return;
  const all = known.rollouts.map((rollout) => (rollout.release === changed.release ? changed : rollout));
  rollouts.value = { ...known, revision: changed.revision, rollouts: all };
}

export function splitOf(release: string): SplitBody | undefined {
  return rollouts.value?.splits.find((split) => split.release === release);
}

export function ticksOf(release: string): Readonly<Record<string, VersionTick>> {
  return tick.value?.releases[release]?.versions ?? {};
}

const parts = { config, rollouts, endpoints, releases } as const;

function take(given: Partial<Parts>): void {
  if (given.config !== undefined) parts.config.value = given.config;
  if (given.rollouts !== undefined) parts.rollouts.value = given.rollouts;
  if (given.endpoints !== undefined) parts.endpoints.value = given.endpoints;
  if (given.releases !== undefined) parts.releases.value = given.releases;
}

function takeState(state: StateEvent): void {
  server.value = { instance: state.instance, version: state.version };
  access.value = state.access;
  aheadMs.value = Date.parse(state.now) - Date.now();
  take(state);
  ruleHits.value = state.ruleHits;
  recentErrors.fill(state.recent);
  tick.value = state.tick ?? undefined;
}

function takeTick(body: TickBody): void {
  tick.value = body;
  recentErrors.add(body);
  const hits = { ...ruleHits.value };
  let isChanged = false;
  for (const [release, { rules }] of Object.entries(body.releases)) {
    if (Object.keys(rules).length === 0) continue;
    hits[release] = { ...hits[release], ...rules };
    isChanged = true;
  }
  if (isChanged) ruleHits.value = hits;
}

const handlers: Readonly<Record<string, (data: never) => void>> = {
  state: takeState,
  change: take,
  tick: takeTick,
  log: (line: LogLine) => log.add(line),
  "log-reset": () => log.clear(),
};

function takeEvent({ event, data }: ServerEvent): void {
  const handle = handlers[event] as ((body: unknown) => void) | undefined;
  if (handle === undefined) return;
  batch(() => {
    heardMs.value = Date.now();
    if (connection.value.kind !== "open") connection.value = { kind: "open" };
    handle(JSON.parse(data));
  });
}

let stream: EventStream | undefined;

/** Connects, anew if it was connected: with the token that there is by now. */
export function connect(): void {
  stream?.close();
  const onState = (state: StreamState) => {
    // It is live with the first thing that it says: until then the page shows what another process may have told.
    if (state.kind !== "open") connection.value = state;
  };
  stream = new EventStream({ path: "/api/live", onEvent: takeEvent, onState });
}

const hiddenForMs = 60_000;

/** A page that is hidden for a minute frees its connection for others, and reconnects when it is visible again. */
export function connectWhileSeen(): void {
  connect();
  setInterval(() => {
    nowMs.value = Date.now();
  }, 1_000);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const look = () => {
    clearTimeout(timer);
    if (document.visibilityState === "visible") {
      if (stream === undefined) connect();
      return;
    }
    timer = setTimeout(() => {
      stream?.close();
      stream = undefined;
      connection.value = { kind: "lost", why: "hidden" };
    }, hiddenForMs);
  };
  // A page that is opened in the background is not seen from the start.
  look();
  document.addEventListener("visibilitychange", look);
}
