import { describe, expect, test } from "vitest";
import { Screen } from "../../src/cli/screen.ts";

function written(isInteractive: boolean, env: Record<string, string>): string {
  let text = "";
  const screen = new Screen({ out: (more) => (text += more), err: () => {}, env, isInteractive });
  screen.draw(["heading", "one"]);
  screen.draw(["heading", "two"]);
  return text;
}

describe("the screen", () => {
  test("redraws the previous block from its first line, without wrapping", () => {
    const first = "\x1b[?7lheading\x1b[K\none\x1b[K\n\x1b[J\x1b[?7h";
    const second = "\x1b[?7l\x1b[2A\rheading\x1b[K\ntwo\x1b[K\n\x1b[J\x1b[?7h";
    expect(written(true, { NO_COLOR: "1" })).toBe(first + second);
  });

  test.each([
    { rows: 6, shown: ["0", "1", "2", "… 6 more lines; make the window higher", "9"] },
    { rows: 3, shown: ["… 9 more lines; make the window higher", "9"] },
    { rows: 11, shown: ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"] },
  ])("in a window of $rows rows keeps the last line, which is about all of them", ({ rows, shown }) => {
    let text = "";
    const terminal = {
      out: (more: string) => (text += more),
      err: () => {},
      env: { NO_COLOR: "1" },
      isInteractive: true,
    };
    new Screen({ ...terminal, rows: () => rows }).draw(Array.from("0123456789"));
    expect(text).toBe(`\x1b[?7l${shown.map((line) => `${line}\x1b[K\n`).join("")}\x1b[J\x1b[?7h`);
  });

  test("dims the heading if colours are enabled", () => {
    expect(written(true, {})).toContain("\x1b[2mheading\x1b[22m");
  });

  test.each([
    { is: "something that is not a terminal", isInteractive: false, env: {} },
    { is: "a dumb terminal", isInteractive: true, env: { TERM: "dumb" } },
  ])("writes plain blocks to $is", ({ isInteractive, env }) => {
    expect(written(isInteractive, env)).toBe("heading\none\n\nheading\ntwo\n\n");
  });
});
