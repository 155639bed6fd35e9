import { describe, expect, it } from "vitest";
import { connectionsByFdLimit } from "../../src/app/fd-limit.ts";

describe("how many connections a listener holds by the limit on open files", () => {
  it.each([
    ["one listener of one worker", 1, 4_096, 1_948],
    ["two listeners of two workers", 4, 4_096, 487],
    ["hardly any files", 1, 100, 32],
  ])("%s", (_sentence, listeners, limit, wanted) => {
    expect(connectionsByFdLimit(listeners, limit)).toBe(wanted);
  });

  it("goes by the system's where none is given", () => {
    expect(connectionsByFdLimit(1)).toBeGreaterThanOrEqual(32);
  });
});
