import { describe, expect, it } from "vitest";
import { parseExplainQuery } from "../../src/admin/queries.ts";
import { explainPath } from "../../src/dashboard/pages/explain/explain-path.ts";
import type { PastedRequest } from "../../src/dashboard/pages/explain/pasted-request.ts";

const request: PastedRequest = {
  form: "raw",
  method: "POST",
  url: undefined,
  headers: [
    ["x-name", "Zoë & Co"],
    ["accept", "*/*"],
  ],
  cookies: ["a=b; c=d"],
  notes: [],
};

describe("explainPath", () => {
  it("asks what the server reads, with values as the bytes that a client sends", () => {
    const asked = explainPath(request, "http://shop.example/cart?x=1", "10.1.2.3");
    if (asked.kind !== "path") throw new TypeError("it is too large");
    expect(parseExplainQuery(new URL(asked.path, "http://perch").searchParams)).toEqual({
      kind: "query",
      query: {
        url: "http://shop.example/cart?x=1",
        method: "POST",
        headers: [
          ["x-name", "Zo\u00c3\u00ab & Co"],
          ["accept", "*/*"],
        ],
        cookies: "a=b; c=d",
        client: "10.1.2.3",
      },
    });
  });

  it("refuses more than a server reads, and names what is large", () => {
    const headers = [
      ["authorization", "x".repeat(9_000)],
      ["accept", "*/*"],
    ] as const;
    const asked = explainPath({ ...request, headers, cookies: ["y".repeat(5_000)] }, "http://a/", "");
    expect(asked).toMatchObject({ kind: "too-large", largest: ["authorization", "Cookie"] });
  });
});
