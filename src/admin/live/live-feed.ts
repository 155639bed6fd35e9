import type { LogEntry } from "../../observe/live/activity-log.ts";
import { packageVersion } from "../../package-version.ts";
import type { AccessBody } from "../access.ts";
import { type AdminView, configBody } from "../api.ts";
import { rolloutsBody } from "../rollout-body.ts";
import { retryLine, sseFrame } from "../sse-stream.ts";
import type { LiveRelease } from "./live-bodies.ts";

/** Of the log: what a fresh reader is sent, and how far back one can resume. */
const maxLogEntries = 200;

const partNames = ["config", "rollouts", "endpoints", "releases"] as const;
type Parts = Readonly<Record<(typeof partNames)[number], string>>;

/** The last log entry that a reader knows. */
export interface LogPosition {
  readonly instance: string;
  readonly id: number;
}

interface Reader {
  readonly access: AccessBody;
  /** Undefined for a fresh one. */
  readonly after: LogPosition | undefined;
  /** Called each second with the frames of that second, which may be none. */
  readonly onSecond: (frames: Uint8Array) => void;
}

interface LogFrame {
  readonly id: number;
  readonly frame: string;
}

/**
 * The frames of `/api/live`. They are computed once a second for all readers, and only while there are any:
 * a reader that joins within a second gets the state at its start, and one second later what has changed since.
 */
export class LiveFeed {
  readonly #view: Pick<AdminView, "live" | "config" | "rollouts">;
  readonly #nowMs: () => number;
  readonly #readers = new Set<Reader>();
  #parts: Parts = { config: "", rollouts: "", endpoints: "", releases: "" };
  /** The state without what differs between readers; made when a reader asks for it. */
  #state: string | undefined;
  /** They are large where there are many rules, and the same object until they change. */
  #releases: { readonly of: readonly LiveRelease[]; readonly text: string } = { of: [], text: "[]" };
  #log: readonly LogFrame[] = [];
  #unsubscribe: (() => void) | undefined;

  constructor(view: Pick<AdminView, "live" | "config" | "rollouts">, nowMs: () => number) {
    this.#view = view;
    this.#nowMs = nowMs;
  }

  /** What the reader is to be sent first; `leave` ends what it gets each second. */
  join(reader: Reader): { readonly greeting: string; readonly leave: () => void } {
    if (this.#unsubscribe === undefined) this.#start();
    this.#readers.add(reader);
    return {
      greeting: `${retryLine}\n${this.#stateFor(reader)}${this.#logFor(reader)}`,
      leave: () => {
        this.#readers.delete(reader);
        if (this.#readers.size === 0) this.#stop();
      },
    };
  }

  #start(): void {
    const { live } = this.#view;
    this.#parts = this.#look();
    this.#log = live.logAfter(0).map(this.#logFrame).slice(-maxLogEntries);
    this.#unsubscribe = live.onTick(() => this.#second());
  }

  #stop(): void {
    this.#unsubscribe?.();
    this.#unsubscribe = undefined;
    this.#state = undefined;
    this.#log = [];
  }

  #look(): Parts {
    const { live, config, rollouts } = this.#view;
    const releases = live.releases();
    if (releases !== this.#releases.of) this.#releases = { of: releases, text: JSON.stringify(releases) };
    return {
      config: JSON.stringify(configBody(config())),
      rollouts: JSON.stringify(rolloutsBody(rollouts)),
      endpoints: JSON.stringify(live.endpoints()),
      releases: this.#releases.text,
    };
  }

  #second(): void {
    const { live } = this.#view;
    const parts = this.#look();
    const changed = partNames.filter((name) => parts[name] !== this.#parts[name]);
    const tick = live.tick();
    const log = live.logAfter(this.#log.at(-1)?.id ?? 0).map(this.#logFrame);
    this.#parts = parts;
    this.#state = undefined;
    this.#log = [...this.#log, ...log].slice(-maxLogEntries);
    const frames = [
      changed.length === 0 ? "" : sseFrame("change", `{${membersOf(parts, changed)}}`),
      tick === undefined ? "" : sseFrame("tick", JSON.stringify(tick)),
      ...log.map(({ frame }) => frame),
    ];
    // As bytes, so that all readers share them while they are unsent.
    const bytes = Buffer.from(frames.join(""));
    for (const { onSecond } of this.#readers) onSecond(bytes);
  }

  #stateFor({ access }: Reader): string {
    const { live } = this.#view;
    this.#state ??= `${membersOf(this.#parts, partNames)},${members({
      ruleHits: live.ruleHits(),
      recent: live.recent(),
      tick: live.tick() ?? null,
    })}`;
    const { instance } = live;
    const now = new Date(this.#nowMs()).toISOString();
    return sseFrame("state", `{${members({ instance, version: packageVersion, now, access })},${this.#state}}`);
  }

  /** The entries after the last one that the reader has; all, after a mark, if that one is no longer kept. */
  #logFor({ after }: Reader): string {
    const first = (this.#log[0]?.id ?? 1) - 1;
    const last = this.#log.at(-1)?.id ?? 0;
    const resumes =
      after !== undefined && after.instance === this.#view.live.instance && after.id >= first && after.id <= last;
    const entries = this.#log.filter(({ id }) => !resumes || id > after.id);
    return `${resumes ? "" : sseFrame("log-reset", "{}")}${entries.map(({ frame }) => frame).join("")}`;
  }

  readonly #logFrame = (entry: LogEntry): LogFrame => {
    const { id } = entry;
    return { id, frame: sseFrame("log", JSON.stringify(logBody(entry)), `${this.#view.live.instance}.${id}`) };
  };
}

function logBody({ atMs, ...entry }: LogEntry) {
  return { ...entry, at: new Date(atMs).toISOString() };
}

/** The members of a JSON object, without its braces. */
function members(object: object): string {
  return JSON.stringify(object).slice(1, -1);
}

function membersOf(parts: Parts, names: readonly (keyof Parts)[]): string {
  return names.map((name) => `"${name}":${parts[name]}`).join(",");
}
