import { styleText } from "node:util";
import type { Terminal } from "./command.ts";

/** Without line wrapping a block keeps its height in a narrow window, so that it can be redrawn in place. */
const wrapOff = "\x1b[?7l";
const wrapOn = "\x1b[?7h";
const eraseLine = "\x1b[K";
const eraseBelow = "\x1b[J";

/** Shows successive states of a block of lines: redrawn in place on a terminal, otherwise one after the other. */
export class Screen {
  readonly #terminal: Terminal;
  readonly #redraws: boolean;
  readonly #hasColour: boolean;
  #drawnLines = 0;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
    this.#redraws = terminal.isInteractive && terminal.env["TERM"] !== "dumb";
    // https://no-color.org: any non-empty value disables colour.
    this.#hasColour = this.#redraws && (terminal.env["NO_COLOR"] ?? "") === "";
  }

  /** How often to draw. Less often without a terminal, where each block adds to a log. */
  get intervalMs(): number {
    return this.#redraws ? 1_000 : 5_000;
  }

  /** How many lines can be redrawn: the window's, but for the one below the block. Without a terminal any number. */
  get maxLines(): number {
    if (!this.#redraws) return Number.POSITIVE_INFINITY;
    return Math.max(2, (this.#terminal.rows?.() || Number.POSITIVE_INFINITY) - 1);
  }

  /** The first line is the heading. */
  draw(lines: readonly string[]): void {
    if (!this.#redraws) {
      this.#terminal.out(`${lines.join("\n")}\n\n`);
      return;
    }
    const shown = this.#fitting(lines);
    const back = this.#drawnLines === 0 ? "" : `\x1b[${this.#drawnLines}A\r`;
    const block = shown.map((line, at) => `${at === 0 ? this.#dim(line) : line}${eraseLine}\n`).join("");
    this.#terminal.out(`${wrapOff}${back}${block}${eraseBelow}${wrapOn}`);
    this.#drawnLines = shown.length;
  }

  /**
   * Lines that have scrolled out of the window cannot be redrawn. The last line of the block is always kept: it applies to
   * all the others, such as that the connection is lost.
   */
  #fitting(lines: readonly string[]): readonly string[] {
    const most = this.maxLines;
    if (lines.length <= most) return lines;
    const kept = Math.max(most - 2, 0);
    const more = `… ${lines.length - kept - 1} more lines; make the window higher`;
    return [...lines.slice(0, kept), more, ...lines.slice(-1)];
  }

  #dim(line: string): string {
    return this.#hasColour ? styleText("dim", line, { validateStream: false }) : line;
  }
}
