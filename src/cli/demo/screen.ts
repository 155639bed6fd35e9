import { styleText } from "node:util";
import type { Terminal } from "../command.ts";

/** Without wrapping a block keeps its height, however narrow the window, and can be drawn over. */
const wrapOff = "\x1b[?7l";
const wrapOn = "\x1b[?7h";
const eraseLine = "\x1b[K";
const eraseBelow = "\x1b[J";

/** Shows a block of lines, again and again: in place for a person, one after the other elsewhere. */
export class Screen {
  readonly #terminal: Terminal;
  readonly #redraws: boolean;
  readonly #hasColour: boolean;
  #drawnLines = 0;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
    this.#redraws = terminal.isInteractive && terminal.env["TERM"] !== "dumb";
    // https://no-color.org: any value but an empty one.
    this.#hasColour = this.#redraws && (terminal.env["NO_COLOR"] ?? "") === "";
  }

  /** How often to draw: a log would fill with what a person sees as one picture. */
  get intervalMs(): number {
    return this.#redraws ? 1_000 : 5_000;
  }

  /** The first line is the heading. */
  draw(lines: readonly string[]): void {
    if (!this.#redraws) {
      this.#terminal.out(`${lines.join("\n")}\n\n`);
      return;
    }
    const back = this.#drawnLines === 0 ? "" : `\x1b[${this.#drawnLines}A\r`;
    const block = lines.map((line, at) => `${at === 0 ? this.#dim(line) : line}${eraseLine}\n`).join("");
    this.#terminal.out(`${wrapOff}${back}${block}${eraseBelow}${wrapOn}`);
    this.#drawnLines = lines.length;
  }

  #dim(line: string): string {
    return this.#hasColour ? styleText("dim", line, { validateStream: false }) : line;
  }
}
