import { describe, it } from "vitest";
import { untrusting } from "./configurations.ts";
import { type LaneCase, request, responses, send } from "./lane-case.ts";
import { LanePair } from "./lane-pair.ts";

const pair = LanePair.forSuite(untrusting);

const cases: readonly LaneCase[] = [
  { name: "a link that counts", client: request("GET /cart?a=1&perch-version=canary&b=2") },
  { name: "a link that ends it", client: request("GET /?perch-version=off", "Cookie: perch-version=canary\r\n") },
  { name: "a link that ends nothing", client: request("GET /?perch-version=off"), regular: true },
  { name: "a link to no version", client: request("GET /?a&perch-version=v9&perch%2Dversion=x"), regular: true },
  {
    name: "a link on another release's route",
    client: request("GET /drawn?perch-version=canary", "X-User-Id: 7\r\n"),
    regular: true,
  },
  { name: "a link on a route without a release", client: request("GET /plain?perch-version=canary"), regular: true },
  { name: "a link with POST", client: request("POST /?perch-version=canary"), regular: true },
  {
    name: "requests behind a link",
    client: [send(`${request("GET /?perch-version=canary")}${request("GET /next")}`), responses(2)],
  },
];

describe("links for testers", () => {
  it.each(cases)("$name", async (laneCase) => {
    await pair().compare(laneCase);
  });
});
