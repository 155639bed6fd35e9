import { describe, it } from "vitest";
import { mirroring } from "./configurations.ts";
import { chunks, cut, type LaneCase, request, responses } from "./lane-case.ts";
import { LanePair } from "./lane-pair.ts";

const cases: readonly LaneCase[] = [
  {
    name: "a plain GET",
    client: request("GET /x?y", "X-A: 1\r\nx-b: two\r\nCookie: a=b; uid=7\r\n"),
    regular: true,
  },
  { name: "blanks around values", client: request("GET /", "X-A:1\r\nx-b:  two \r\nX-Empty:\r\n") },
  { name: "an absolute target", client: request("GET http://shop.example/x") },
  { name: "bytes beyond ASCII", client: request("GET /", "X-A: \xc3\xa9|\xe9\r\n") },
  { name: "a HEAD", client: request("HEAD /"), regular: true },
  { name: "a POST without a body", client: request("POST /", "Content-Length: 0\r\n"), regular: true },
  { name: "a body", client: request("POST /", "Content-Length: 5\r\n", "hello"), regular: true },
  {
    name: "a body in pieces",
    client: [...cut(request("POST /", "Content-Length: 5\r\n", "hello"), 90, 92), responses(1)],
    regular: true,
  },
  { name: "a body of a chunk", client: request("POST /", "Transfer-Encoding: chunked\r\n", chunks(["hello"])) },
  { name: "no content in chunks", client: request("POST /", "Transfer-Encoding: chunked\r\n", chunks([])) },
  {
    name: "a body that is too long to be copied",
    client: request("POST /", "Content-Length: 17\r\n", "x".repeat(17)),
    regular: true,
  },
  { name: "a method that is not copied", client: request("PUT /", "Content-Length: 1\r\n", "x"), regular: true },
  { name: "what canary serves", client: request("GET /", "x-user-region: cn-east\r\n"), regular: true },
  { name: "a copy", client: request("GET /", "x-perch-mirror: canary\r\n"), regular: true },
  {
    name: "fields that Connection names",
    client: request("GET /", "Connection: X-A, x-perch-mirror\r\nX-A: 1\r\n"),
  },
];

describe("a mirror", () => {
  const pair = LanePair.forSuite(mirroring);

  it.each(cases)("gets the same from both lanes, as does everybody else: $name", async (laneCase) => {
    await pair().compare(laneCase);
  });
});
