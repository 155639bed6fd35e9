import { describe, expect, it } from "vitest";
import { parseExplainQuery } from "../../src/admin/queries.ts";
import { explainQuestion } from "../../src/dashboard/pages/explain/explain-question.ts";
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

describe("explainQuestion", () => {
  it("asks what the server reads, with values as the bytes that a client sends", () => {
    const asked = explainQuestion(request, "http://shop.example/cart?x=1", "10.1.2.3");
    if (asked.kind !== "body") throw new TypeError("it is too large");
    const search = Object.entries(asked.body).flatMap(([name, value]) => [value].flat().map((each) => [name, each]));
    expect(parseExplainQuery(new URLSearchParams(search))).toEqual({
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
      ["authorization", "x".repeat(50_000)],
      ["accept", "*/*"],
    ] as const;
    const asked = explainQuestion({ ...request, headers, cookies: ["y".repeat(20_000)] }, "http://a/", "");
    expect(asked).toMatchObject({ kind: "too-large", largest: ["authorization", "Cookie"] });
  });
});
