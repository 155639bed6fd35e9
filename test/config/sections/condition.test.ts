import { describe, expect, test } from "vitest";
import { changed, load, problemsOf } from "../valid-config.ts";

/** The case, the text to replace, its replacement, and all problems that are reported. */
const cases: readonly (readonly [string, string, string, readonly string[]])[] = [
  [
    "an operator for strings on a number",
    "{ atLeast: 3 }",
    "{ prefix: 3 }",
    [
      '27:40: error: prefix cannot be used on the attribute "orders", which is of type number; the operators for it are equals, in, exists, inFile, before, after, atLeast, atMost, between',
    ],
  ],
  [
    "an operator for order on a string",
    "userId: ada",
    "userId: { before: b }",
    [
      '27:27: error: before cannot be used on the attribute "userId", which is of type string; the operators for it are equals, in, exists, inFile, prefix, suffix, contains, regex',
    ],
  ],
  [
    "an operator for times on a version",
    '{ semver: ">=4" }',
    "{ within: 30d }",
    [
      '30:54: error: within cannot be used on the attribute "app", which is of type semver; the operators for it are equals, in, exists, inFile, semver',
    ],
  ],
  [
    "an operator for versions on an address",
    "{ cidr: 10.0.0.0/8 }",
    "{ semver: 4 }",
    [
      '30:79: error: semver cannot be used on the attribute "peer", which is of type ip; the operators for it are equals, in, exists, inFile, cidr',
    ],
  ],
  [
    "an operator on a boolean",
    "staff: true",
    "staff: { atLeast: 1 }",
    [
      '27:63: error: atLeast cannot be used on the attribute "staff", which is of type boolean; the operators for it are equals, in, exists, inFile',
    ],
  ],
  [
    "a misspelt operator",
    "{ atLeast: 3 }",
    "{ atleast: 3 }",
    ['27:40: error: unknown key "atleast" in a test; did you mean "atLeast"?'],
  ],
  [
    "no operator",
    "{ after: 2026-01-01 }",
    "{}",
    [
      "30:24: error: a test needs at least one of the keys equals, in, prefix, suffix, contains, regex, exists, before, after, atLeast, atMost, between, within, olderThan, semver, cidr, inFile",
    ],
  ],
  [
    "an operand that is not a number",
    "{ atLeast: 3 }",
    "{ atLeast: three }",
    ['27:49: error: "three" is not a number such as 42, which the attribute "orders" requires'],
  ],
  [
    "one of several operands that is not a number",
    "{ atLeast: 3 }",
    "[1, 2, three]",
    ['27:45: error: "three" is not a number such as 42, which the attribute "orders" requires'],
  ],
  [
    "nothing as one of several operands",
    "{ atLeast: 3 }",
    "[1, ~, three]",
    ["27:42: error: expected a value, found nothing; add a value, or remove the key"],
  ],
  [
    "an operand that is not a calendar date",
    "2026-01-01",
    "2026-02-30",
    [
      '30:33: error: "2026-02-30" is not a time such as 2026-01-01 or 2026-01-01T08:00:00Z, which the attribute "since" requires; write 2026-03-01, 2026-03-01 08:00:00 (also with T, with /, without seconds, with a fraction, and followed by Z, UTC, GMT, +08, +0800 or +08:00), 20260301T080000Z, Sun, 01 Mar 2026 08:00:00 GMT, Sun Mar 01 2026 08:00:00 GMT+0800, or seconds, milliseconds, microseconds or nanoseconds since 1970',
    ],
  ],
  [
    "an operand that is not a boolean",
    "staff: true",
    "staff: yes",
    ['27:61: error: "yes" is not true or false, which the attribute "staff" requires'],
  ],
  [
    "an operand that is not a version",
    '{ semver: ">=4" }',
    "four",
    ['30:52: error: "four" is not a version such as 4.2.0, which the attribute "app" requires'],
  ],
  [
    "an invalid semver range",
    '">=4"',
    '">>4"',
    ['30:62: error: ">>4" is not a semver range; write it as in ">=4.1 <5"'],
  ],
  [
    "an invalid CIDR range",
    "{ cidr: 10.0.0.0/8 }",
    "{ cidr: 10.0.0.0/33 }",
    ['30:85: error: "10.0.0.0/33" is not an address or a CIDR range; write it as in 10.0.0.0/8 or fd00::/8'],
  ],
  [
    "one of several CIDR ranges that is invalid",
    "{ cidr: 10.0.0.0/8 }",
    "{ cidr: [10.0.0.0/8, ten] }",
    ['30:98: error: "ten" is not an address or a CIDR range; write it as in 10.0.0.0/8 or fd00::/8'],
  ],
  [
    "a range instead of an address",
    "{ cidr: 10.0.0.0/8 }",
    "10.0.0.0/8",
    [
      '30:77: error: "10.0.0.0/8" is not an IP address, which the attribute "peer" requires; for a range, write { cidr: 10.0.0.0/8 }',
    ],
  ],
  ["a between with one bound", "{ atLeast: 3 }", "{ between: [3] }", ["27:49: error: expected 2 bounds, found 1"]],
  [
    "a between with its bounds swapped",
    "{ atLeast: 3 }",
    "{ between: [5, 3] }",
    ["27:49: error: the first bound of between is above the second"],
  ],
  [
    "an age without a unit",
    "{ after: 2026-01-01 }",
    "{ within: 30 }",
    ['30:34: error: "30" is not a duration; add a unit, as in 30s'],
  ],
  [
    "an invalid regular expression",
    "userId: ada",
    "userId: { regex: '(' }",
    ['27:34: error: "(" is not a valid regular expression: missing closing ): `(`'],
  ],
  [
    "a regular expression with a look-ahead",
    "userId: ada",
    "userId: { regex: '(?=a)' }",
    ['27:34: error: "(?=a)" is not a valid regular expression: invalid or unsupported Perl syntax: `(?=`'],
  ],
  [
    "a regular expression with a back-reference",
    "userId: ada",
    "userId: { regex: '(a)\\1' }",
    ['27:34: error: "(a)\\\\1" is not a valid regular expression: invalid escape sequence: `\\1`'],
  ],
  [
    "a regular expression that repeats too often",
    "userId: ada",
    "userId: { regex: '(a{1000}){1000}' }",
    [
      '27:34: error: "(a{1000}){1000}" is not a valid regular expression: it compiles to more than 6000 instructions; make its repetitions smaller',
    ],
  ],
  [
    "a regular expression that grows too large",
    "userId: ada",
    "userId: { regex: '(abcdefghij){700}' }",
    [
      '27:34: error: "(abcdefghij){700}" is not a valid regular expression: it compiles to more than 6000 instructions; make its repetitions smaller',
    ],
  ],
  [
    "an invalid regular expression for a path",
    "{ prefix: /api }",
    "{ regex: '[' }",
    ['35:56: error: "[" is not a valid regular expression: missing closing ]: `[`'],
  ],
  [
    "an operator that routes do not have",
    "match: {",
    "match: { headers: { x-a: { before: 3 } },",
    ['35:32: error: unknown key "before" in a test; the keys are equals, in, prefix, suffix, contains, regex, exists'],
  ],
  [
    "a percentage above a hundred",
    "staff: true",
    "staff: true, percent: 120",
    ["27:76: error: 120 is too large: the maximum is 100"],
  ],
  ["a seed without a percentage", "staff: true", "staff: true, seed: x", ["27:67: error: seed needs percent"]],
  [
    "two seeds",
    "staff: true",
    "staff: true, percent: { of: 1, seed: a }, seed: b",
    ["27:96: error: percent already has its own seed"],
  ],
  ["any of nothing", "staff: true", "staff: true, any: []", ["27:72: error: the list of conditions is empty"]],
  [
    "a list instead of a condition",
    "staff: true",
    "staff: true, not: [1]",
    ["27:72: error: expected a condition (a map), found a list"],
  ],
  [
    "a missing list file",
    "{ atLeast: 3 }",
    "{ inFile: nope.txt }",
    ["27:48: error: the file <folder>/nope.txt cannot be used: no such file"],
  ],
  [
    "a list file with a value of another type",
    "{ atLeast: 3 }",
    "{ inFile: numbers.txt }",
    ['27:48: error: the file <folder>/numbers.txt cannot be used: line 3: "three" is not a value of type number'],
  ],
];

describe("conditions", () => {
  test.each(cases)("%s", (_sentence, find, replacement, wanted) => {
    expect(problemsOf(load(changed(find, replacement)))).toEqual(wanted);
  });
});
