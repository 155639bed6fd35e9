import { describe, expect, test } from "vitest";
import { changed, compiled, load, problemsOf } from "../valid-config.ts";

const mirrored = (mirror: string) => changed("canary: 5 }\n", `canary: 5 }\n    mirror: ${mirror}\n`);

/** The case, the mirror, and all problems that are reported. */
const cases: readonly (readonly [string, string, readonly string[]])[] = [
  ["no version", "{ percent: 10 }", ['33:13: error: a mirror needs the key "version"']],
  ["no share", "{ version: canary }", ['33:13: error: a mirror needs the key "percent"']],
  [
    "an unknown version",
    "{ version: canry, percent: 10 }",
    ['33:24: error: unknown version "canry"; did you mean "canary"?'],
  ],
  [
    "more than 100 per cent",
    "{ version: canary, percent: 101 }",
    ["33:41: error: 101 is too large: the maximum is 100"],
  ],
  ["no method", "{ version: canary, percent: 1, methods: [] }", ["33:53: error: the list of methods is empty"]],
  [
    "a maximum body of zero",
    "{ version: canary, percent: 1, maxBody: 0 }",
    ["33:53: error: 0 is not between 1 and 1099511627776 bytes"],
  ],
  [
    "a maximum of zero in flight",
    "{ version: canary, percent: 1, maxInFlight: 0 }",
    ["33:57: error: 0 is too small: the minimum is 1"],
  ],
  [
    "an unknown key",
    "{ version: canary, percent: 1, percentage: 2 }",
    ['33:44: error: unknown key "percentage" in a mirror; did you mean "percent"?'],
  ],
];

describe("a mirror", () => {
  test.each(cases)("with %s is rejected", (_what, mirror, problems) => {
    const result = load(mirrored(mirror));
    expect([result.ok, problemsOf(result)]).toEqual([false, problems]);
  });

  test("of unsafe methods gives a warning", () => {
    const result = load(mirrored("{ version: canary, percent: 1, methods: [get, POST, put] }"));
    const warning =
      "33:53: warning: POST, PUT: the mirrored request takes effect as well, so every change is made twice";
    expect([result.ok, problemsOf(result)]).toEqual([true, [warning]]);
  });

  test("has defaults, and a route may turn it off", () => {
    const { mirrors, routes } = compiled(
      mirrored("{ version: canary, percent: 0.5 }").replace("name: api\n", "name: api\n    mirror: off\n"),
    );
    const defaults = { methods: ["GET", "HEAD", "OPTIONS"], maxBodyBytes: 1_048_576, maxInFlight: 100 };
    expect(mirrors).toEqual([{ release: "shop", version: "canary", percent: 0.5, ...defaults }]);
    expect(routes.map(({ mirror }) => mirror)).toEqual(["off", "on"]);
  });
});
