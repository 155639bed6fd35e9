import { describe, expect, test } from "vitest";
import { changed, load, problemsOf } from "./valid-config.ts";

/** What is wrong, the thing replaced, its replacement, and every problem that is then told. */
const cases: readonly (readonly [string, string, string, readonly string[]])[] = [
  [
    "a balance that there is none of",
    "    timeouts:",
    "    balance: round_robin\n    timeouts:",
    [
      '18:14: error: expected p2c, round-robin, least-in-flight or hash, found "round_robin"; did you mean "round-robin"?',
    ],
  ],
  [
    "a socket's path that is relative",
    '"http://shop-stable:80"',
    "unix:shop.sock",
    ['16:29: error: "shop.sock" is not an absolute path; write it as in unix:/run/shop.sock'],
  ],
  [
    "a socket's path without its scheme",
    '"http://shop-stable:80"',
    "/run/shop.sock",
    ['16:29: error: "/run/shop.sock" has no scheme; write "unix:/run/shop.sock"'],
  ],
  [
    "a socket's path that the system has no room for",
    '"http://shop-stable:80"',
    `unix:/${"x".repeat(107)}`,
    [`16:29: error: "/${"x".repeat(59)}…" is longer than a socket's path may be, 107 bytes`],
  ],
];

describe("endpoints", () => {
  test.each(cases)("%s", (_sentence, find, replacement, wanted) => {
    expect(problemsOf(load(changed(find, replacement)))).toEqual(wanted);
  });
});
