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
