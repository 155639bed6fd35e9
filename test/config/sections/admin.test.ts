import { describe, expect, test } from "vitest";
import { changed, compiled, load, problemsOf } from "../valid-config.ts";

const admin = (written: string) => changed("trustedProxies:", `admin: ${written}\ntrustedProxies:`);

/** The case, the admin section, and all problems that are reported. */
const cases: readonly (readonly [string, string, readonly string[]])[] = [
  [
    "reachable without a token",
    '{ address: "0.0.0.0:9901" }',
    [
      "4:19: error: the admin server is reachable from other machines, and there is no tokenFile; set tokenFile, or withoutToken: probes-and-metrics (or anyone-may-read)",
    ],
  ],
  [
    "reachable over IPv6",
    '{ address: "[::]:9901" }',
    [
      "4:19: error: the admin server is reachable from other machines, and there is no tokenFile; set tokenFile, or withoutToken: probes-and-metrics (or anyone-may-read)",
    ],
  ],
  [
    "reachable on every address",
    '{ address: "*:9901" }',
    [
      "4:19: error: the admin server is reachable from other machines, and there is no tokenFile; set tokenFile, or withoutToken: probes-and-metrics (or anyone-may-read)",
    ],
  ],
  ["reachable for probes", '{ address: "0.0.0.0:9901", withoutToken: probes-and-metrics }', []],
  ["reachable with a token", '{ address: "0.0.0.0:9901", tokenFile: pins.secret }', []],
  [
    "readable by anyone",
    '{ address: "0.0.0.0:9901", withoutToken: anyone-may-read }',
    [
      "4:49: warning: anyone who can reach the admin server may read everything on it; withoutToken: probes-and-metrics is enough for Kubernetes and Prometheus",
    ],
  ],
  ["on loopback", '{ address: "127.0.0.1:9901" }', []],
  ["on IPv6 loopback", '{ address: "[::1]:9901" }', []],
  [
    "a token that is too short",
    "{ tokenFile: short.secret }",
    ["4:21: error: the file <folder>/short.secret cannot be used: line 1 has 9 bytes; a secret needs at least 32"],
  ],
  [
    "an unknown word",
    "{ withoutToken: anyone }",
    ['4:24: error: expected probes-and-metrics or anyone-may-read, found "anyone"'],
  ],
];

describe("the admin server", () => {
  test.each(cases)("%s", (_what, written, problems) => {
    expect(problemsOf(load(admin(written)))).toEqual(problems);
  });

  test("by default requires a token from other machines, except for probes and metrics", () => {
    expect(compiled(admin("{}")).adminAccess).toEqual({ tokens: [], withoutToken: "probes-and-metrics" });
  });
});
