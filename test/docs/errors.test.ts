import { expect, test } from "vitest";
import { type ErrorCode, errorTable } from "../../src/errors.ts";
import { codesIn, readPage, section, tableOf } from "./page.ts";

/** Codes that no client reads, and why. */
const notAnswered: Partial<Record<ErrorCode, string>> = {
  "client-closed": "recorded only: nobody is left to read it",
  "rate-limited": "no key of the configuration makes it yet",
  fault: "no key of the configuration makes it yet",
};

test("the README's table of errors has every code that Perch answers, with its status", () => {
  const documented = tableOf(section(readPage("README.md"), "The chain")).flatMap(([, answer = "", codes = ""]) =>
    codesIn(codes).map((code) => [code, Number(answer.slice(0, 3))] as const),
  );
  const told = new Map(documented);
  const answered = Object.entries(errorTable)
    .filter(([code]) => told.has(code) || !(code in notAnswered))
    .map(([code, { status }]) => [code, status] as const);
  expect([...documented].sort()).toEqual(answered.sort());
});
