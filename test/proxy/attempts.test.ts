import { expect, it } from "vitest";
import { PerchError } from "../../src/errors.ts";
import { causeOf } from "../../src/proxy/attempt-failure.ts";

const withCode = (code: unknown, cause?: unknown) => Object.assign(new Error("told to nobody", { cause }), { code });

const circle = withCode("E_CIRCLE");
circle.cause = circle;

it.each([
  ["a code of the system", withCode("ECONNREFUSED"), "ECONNREFUSED"],
  ["what is behind an error of ours", new PerchError("tls-failed", withCode("CERT_HAS_EXPIRED")), "CERT_HAS_EXPIRED"],
  ["the innermost of several", withCode("UND_ERR_SOCKET", withCode("ECONNRESET")), "ECONNRESET"],
  ["nothing where there is no code", new Error("told to nobody"), undefined],
  ["nothing where a code is no text", withCode(7), undefined],
  ["nothing where nothing is known", undefined, undefined],
  ["an error that is its own cause", circle, "E_CIRCLE"],
])("an error's cause is %s", (_sentence, error, wanted) => {
  expect(causeOf(error)).toBe(wanted);
});
