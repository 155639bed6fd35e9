import { describe, expect, it } from "vitest";
import { PerchError } from "../../src/errors.ts";
import { causeOf } from "../../src/proxy/attempt-failure.ts";

const withCode = (code: unknown, cause?: unknown) => Object.assign(new Error("a message", { cause }), { code });

const circle = withCode("E_CIRCLE");
circle.cause = circle;

describe("the cause of an error", () => {
  it.each([
    ["a code of the system", withCode("ECONNREFUSED"), "ECONNREFUSED"],
    ["the code behind a PerchError", new PerchError("tls-failed", withCode("CERT_HAS_EXPIRED")), "CERT_HAS_EXPIRED"],
    ["the innermost of several", withCode("UND_ERR_SOCKET", withCode("ECONNRESET")), "ECONNRESET"],
    ["undefined without a code", new Error("a message"), undefined],
    ["undefined for a code that is no string", withCode(7), undefined],
    ["undefined without an error", undefined, undefined],
    ["a code of an error that is its own cause", circle, "E_CIRCLE"],
  ])("is %s", (_sentence, error, wanted) => {
    expect(causeOf(error)).toBe(wanted);
  });
});
