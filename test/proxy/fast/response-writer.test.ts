import { expect, it } from "vitest";
import { HttpDate } from "../../../src/proxy/fast/response-writer.ts";

it("a Date field is that of its second, written once a second", () => {
  let nowMs = Date.UTC(1994, 10, 6, 8, 49, 37);
  const date = new HttpDate(() => nowMs);
  const first = date.now();
  expect(first).toBe("Sun, 06 Nov 1994 08:49:37 GMT");
  nowMs += 999;
  expect(date.now()).toBe(first);
  nowMs += 1;
  expect(date.now()).toBe("Sun, 06 Nov 1994 08:49:38 GMT");
  nowMs -= 2_000;
  expect(date.now()).toBe("Sun, 06 Nov 1994 08:49:36 GMT");
});
