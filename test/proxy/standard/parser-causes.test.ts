import { describe, expect, it } from "vitest";
import { requestRefusal, responseCause } from "../../../src/proxy/standard/parser-causes.ts";

const withCode = (code: string, reason: string) => Object.assign(new Error("Parse Error"), { code, reason });

describe("what node's parser says of a body", () => {
  it.each([
    ["HPE_INVALID_CHUNK_SIZE", "Invalid character in chunk size", "bad-request invalid-chunk"],
    ["HPE_STRICT", "Expected LF after chunk data", "bad-request invalid-chunk"],
    ["HPE_CR_EXPECTED", "Missing expected CR after chunk extension value", "bad-request invalid-chunk"],
    ["HPE_INVALID_HEADER_TOKEN", "Invalid header token", "bad-request invalid-trailer"],
    [
      "HPE_INVALID_CONTENT_LENGTH",
      "Content-Length can't be present with Transfer-Encoding",
      "bad-request forbidden-trailer",
    ],
    ["HPE_INVALID_TRANSFER_ENCODING", "Invalid `Transfer-Encoding` header value", "bad-request forbidden-trailer"],
    ["HPE_CHUNK_EXTENSIONS_OVERFLOW", "Chunk extensions overflow", "headers-too-large chunk-extensions"],
    ["HPE_HEADER_OVERFLOW", "Header overflow", "headers-too-large trailers"],
  ])("%s, %s: %s", (code, reason, wanted) => {
    const { error, cause } = requestRefusal(withCode(code, reason), "body");
    expect(`${error} ${cause}`).toBe(wanted);
  });
});

it("what the parser does not explain is still a malformed message", () => {
  expect(requestRefusal(new Error("?"), "head")).toEqual({ error: "bad-request", cause: "other" });
  expect(responseCause(new Error("?"))).toBe("other");
});

it("a head that does not arrive in time is told apart from a body", () => {
  const late = Object.assign(new Error("timeout"), { code: "ERR_HTTP_REQUEST_TIMEOUT" });
  expect(requestRefusal(late, "head")).toEqual({ error: "request-timeout", cause: "head" });
});
