import { closeSync, openSync } from "node:fs";
import { isatty } from "node:tty";
import { type AncestorWatch, watchAncestors } from "./ancestor-watch.ts";

export interface StopHandlers {
  /** Called once: for the first SIGINT or SIGTERM, the closed terminal, or the end of npm or of a shell around it. */
  stop(why: string): void;
  /** Called for each further SIGINT or SIGTERM. */
  stopNow(): void;
  /** SIGHUP, unless the terminal has closed. */
  hangUp(): void;
}

/**
 * How close together two of the same signal count as one: npm passes on the SIGINT that the terminal has also sent to
 * Perch, and timeout(1) sends SIGTERM to its child and to the group of its child.
 */
const sameSignalMs = 250;

/** The signals of this process, until `release`. */
export class StopSignals {
  readonly #handlers: StopHandlers;
  readonly #monotonicMs: () => number;
  readonly #underNpm: boolean;
  readonly #ancestors: AncestorWatch | undefined;
  /** nohup detaches stdin from the terminal: a process that is meant to outlive its terminal has none there. */
  readonly #hadTerminal = isatty(0) && hasTerminal();
  /** The signal that was last counted, and when. */
  #last: { readonly signal: "SIGINT" | "SIGTERM"; readonly atMs: number } | undefined;
  #stopping = false;
  readonly #onInterrupt = () => this.#signalled("SIGINT");
  readonly #onTerminate = () => this.#signalled("SIGTERM");
  readonly #onHangUp = () => {
    if (this.#hadTerminal && !hasTerminal()) {
      this.#stop("the terminal has closed");
      return;
    }
    this.#ancestors?.hungUp();
    this.#handlers.hangUp();
  };

  constructor(
    handlers: StopHandlers,
    env: Readonly<Record<string, string | undefined>>,
    monotonicMs = () => performance.now(),
  ) {
    this.#handlers = handlers;
    this.#monotonicMs = monotonicMs;
    this.#underNpm = env["npm_lifecycle_event"] !== undefined;
    // npm does not pass on every signal, nor its own end, and the shell that it starts passes on none.
    this.#ancestors = this.#underNpm ? watchAncestors((why) => this.#stop(why)) : undefined;
    process.on("SIGINT", this.#onInterrupt).on("SIGTERM", this.#onTerminate).on("SIGHUP", this.#onHangUp);
  }

  release(): void {
    this.#ancestors?.close();
    process.off("SIGINT", this.#onInterrupt).off("SIGTERM", this.#onTerminate).off("SIGHUP", this.#onHangUp);
  }

  #signalled(signal: "SIGINT" | "SIGTERM"): void {
    const atMs = this.#monotonicMs();
    const isRepeated = this.#last?.signal === signal && atMs - this.#last.atMs < sameSignalMs;
    if (isRepeated && (this.#underNpm || signal === "SIGTERM")) return;
    this.#last = { signal, atMs };
    if (this.#stopping) this.#handlers.stopNow();
    else this.#stop(signal);
  }

  #stop(why: string): void {
    if (this.#stopping) return;
    this.#stopping = true;
    this.#handlers.stop(why);
  }
}

/** Whether this process has a controlling terminal. */
function hasTerminal(): boolean {
  try {
    closeSync(openSync("/dev/tty", "r"));
    return true;
  } catch (error) {
    // Anything else, such as EMFILE, says nothing about the terminal.
    const { code } = error as NodeJS.ErrnoException;
    return code !== "ENXIO" && code !== "EIO" && code !== "ENOENT";
  }
}
