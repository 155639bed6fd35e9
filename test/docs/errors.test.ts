import { expect, test } from "vitest";
import { type ErrorCode, errorTable } from "../../src/errors.ts";
import { codesIn, readPage, section, tableOf } from "./page.ts";

/** Codes that stand elsewhere, and why. */
const elsewhere: Partial<Record<ErrorCode, string>> = {
  "client-closed": "recorded only: nobody is left to read it",
  fault: "its status is what the route says: docs/routes.md",
};

test("docs/errors.md has every cause of every error that Perch answers, and its status", () => {
  const page = readPage("docs/errors.md");
  for (const [code, { status, causes }] of Object.entries(errorTable)) {
    if (code === "client-closed") continue;
    const tokens = section(page, code);
    expect(tokens.map(({ raw }) => raw).join(""), code).toContain(code === "fault" ? "status" : `${status}:`);
    expect(
      tableOf(tokens).flatMap(([cause = ""]) => codesIn(cause)),
      code,
    ).toEqual(Object.keys(causes));
  }
});

test("its table of all errors has every code that Perch answers by itself, with its status", () => {
  const documented = tableOf(section(readPage("docs/errors.md"), "All errors")).flatMap(([, answer = "", codes = ""]) =>
    codesIn(codes).map((code) => [code, Number(answer.slice(0, 3))] as const),
  );
  const told = new Map(documented);
  const answered = Object.entries(errorTable)
    .filter(([code]) => told.has(code) || !(code in elsewhere))
    .map(([code, { status }]) => [code, status] as const);
  expect([...documented].sort()).toEqual(answered.sort());
});
