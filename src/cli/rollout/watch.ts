import { setTimeout as wait } from "node:timers/promises";
import type { EventBody } from "../../admin/rollout-body.ts";
import type { Terminal } from "../command.ts";
import { Screen } from "../screen.ts";
import { cut, printable, printableJson } from "../text-block.ts";
import { type AdminClient, AdminError, type AllRollouts } from "./admin-client.ts";
import { eventLine, fittingLines, overviewLines, spanOf } from "./status-lines.ts";

export interface Watching {
  readonly client: AdminClient;
  /** Undefined: all. */
  readonly release: string | undefined;
  readonly terminal: Terminal;
  readonly format: "screen" | "lines" | "json";
  /** Ends the watch, quietly. */
  readonly signal: AbortSignal;
  /** How long to wait before the first of several attempts to connect; it doubles up to 30 s. Default: 1 s. */
  readonly backOffMs?: number;
}

const maxBackOffMs = 30_000;
/** Holds, users and evidence change between events. */
const refreshMs = 2_000;
const shownEvents = 6;

/**
 * Shows rollouts until the signal: redrawn in place on a terminal, otherwise one line an event. A lost connection is
 * retried, and no event is missed. Rejects if the server refuses, or was never reached.
 */
export async function watchRollouts(watching: Watching): Promise<void> {
  const view = watching.format === "screen" ? new LiveView(watching) : new EventLines(watching);
  try {
    await view.begin();
    await follow(watching, view);
  } catch (error) {
    if (!watching.signal.aborted) throw error;
  } finally {
    view.end();
  }
}

interface View {
  /** Rejects if there is nothing to show. */
  begin(): Promise<void>;
  happened(event: EventBody): void;
  /** Events that are not kept any more. */
  missed(): void;
  lost(why: string, retryMs: number): void;
  connected(): void;
  end(): void;
}

async function follow({ client, release, signal, backOffMs = 1_000 }: Watching, view: View): Promise<void> {
  let last: string | undefined;
  let attempts = 0;
  while (!signal.aborted) {
    let why = "it ended the connection";
    try {
      for await (const { id, type, data } of client.events(last, signal)) {
        if (attempts > 0) view.connected();
        attempts = 0;
        if (id !== "") last = id;
        if (type === "gap") view.missed();
        else if (data !== undefined) tell(view, data, release);
      }
    } catch (error) {
      if (!(error instanceof AdminError && error.isPassing)) throw error;
      why = error.message;
    }
    if (signal.aborted) return;
    const retryMs = Math.min(maxBackOffMs, backOffMs * 2 ** attempts++);
    view.lost(why, retryMs);
    await wait(retryMs, undefined, { signal });
  }
}

function tell(view: View, data: string, release: string | undefined): void {
  const event = JSON.parse(data) as EventBody;
  if (release === undefined || event.release === release) view.happened(event);
}

async function shown({ client, release, signal }: Watching): Promise<AllRollouts> {
  const all = await client.rollouts(signal);
  if (release !== undefined && !all.rollouts.some((rollout) => rollout.release === release)) {
    throw new AdminError(`release ${printable(release)} has no rollout`, 404);
  }
  return all;
}

/** One line an event; what happens to the connection goes to the messages. */
class EventLines implements View {
  readonly #watching: Watching;

  constructor(watching: Watching) {
    this.#watching = watching;
  }

  async begin(): Promise<void> {
    await shown(this.#watching);
  }

  happened(event: EventBody): void {
    const { terminal, format } = this.#watching;
    terminal.out(`${format === "json" ? printableJson(JSON.stringify(event)) : eventLine(event)}\n`);
  }

  missed(): void {
    this.#say("some events are missing: the server no longer has them; see perch rollout status");
  }

  lost(why: string, retryMs: number): void {
    this.#say(`connection lost: ${why}; trying again in ${waitText(retryMs)}`);
  }

  connected(): void {
    this.#say("connected again");
  }

  end(): void {}

  #say(text: string): void {
    this.#watching.terminal.err(`perch rollout: ${text}\n`);
  }
}

/** The status with the last events below it, redrawn in place. */
class LiveView implements View {
  readonly #watching: Watching;
  readonly #screen: Screen;
  #all: AllRollouts = { revision: 0, rollouts: [], splits: [] };
  #events: readonly string[] = [];
  #note = "Ctrl-C stops.";
  #timer: NodeJS.Timeout | undefined;
  #isAsking = false;
  #isStale = false;

  constructor(watching: Watching) {
    this.#watching = watching;
    this.#screen = new Screen(watching.terminal);
  }

  async begin(): Promise<void> {
    this.#all = await shown(this.#watching);
    this.#draw();
    this.#timer = setInterval(() => void this.#refresh(), refreshMs);
  }

  happened(event: EventBody): void {
    this.#add(eventLine(event));
  }

  missed(): void {
    this.#add("… some events are missing: the server no longer has them");
  }

  lost(why: string, retryMs: number): void {
    this.#note = `Connection lost, trying again in ${waitText(retryMs)}: ${why}`;
    this.#draw();
  }

  connected(): void {
    this.#note = "Ctrl-C stops.";
    void this.#refresh();
  }

  end(): void {
    clearInterval(this.#timer);
  }

  #add(line: string): void {
    this.#events = [...this.#events, line].slice(-shownEvents);
    void this.#refresh();
  }

  /** One request at a time; a change during it causes one more. The stream reports failures. */
  async #refresh(): Promise<void> {
    this.#isStale = true;
    if (this.#isAsking) return;
    this.#isAsking = true;
    const { client, signal } = this.#watching;
    while (this.#isStale && !signal.aborted) {
      this.#isStale = false;
      this.#all = await client.rollouts(signal).catch(() => this.#all);
    }
    this.#isAsking = false;
    if (!signal.aborted) this.#draw();
  }

  #draw(): void {
    const events = this.#events.length === 0 ? [] : ["", ...this.#events];
    const { release } = this.#watching;
    const footer = [...events, "", this.#note];
    const room = this.#screen.maxLines - footer.length;
    const lines = fittingLines(room, (detail) => overviewLines(this.#all, release, detail));
    this.#screen.draw([...lines, ...footer].map((line) => cut(line, 80)));
  }
}

function waitText(ms: number): string {
  return ms < 1_000 ? `${ms} ms` : spanOf(ms);
}
