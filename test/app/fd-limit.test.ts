import { describe, expect, it } from "vitest";
import { connectionsByFdLimit } from "../../src/app/fd-limit.ts";

describe("connectionsByFdLimit", () => {
  it.each([
    ["one listener of one worker", 1, 4_096, 1_948],
    ["two listeners of two workers", 4, 4_096, 487],
    ["a very low limit", 1, 100, 32],
  ])("%s", (_sentence, listeners, limit, wanted) => {
    expect(connectionsByFdLimit(listeners, limit)).toBe(wanted);
  });

  it("uses the system's limit by default", () => {
    expect(connectionsByFdLimit(1)).toBeGreaterThanOrEqual(32);
  });
});
