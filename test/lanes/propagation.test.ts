/** @module-tag slow */
import { compareCases } from "./compare-cases.ts";
import { untrusting } from "./configurations.ts";
import type { LaneConfig, Origins } from "./lane.ts";
import { type LaneCase, request } from "./lane-case.ts";

/** A unit with the same draw in both lanes. */
const user = "X-User-Id: 7\r\n";

const regular = (name: string, fields: string, line = "GET /"): LaneCase => ({
  name,
  client: request(line, user + fields),
  regular: true,
});

const fields = (...lines: readonly string[]) => lines.map((line) => `${line}\r\n`).join("");

const cases: readonly LaneCase[] = ["/", "/plain", "/external", "/drawn", "/lane"].flatMap((path) => [
  regular(`nothing said to ${path}`, "", `GET ${path}`),
  regular(`a release's version said to ${path}`, fields("X-Perch-Release: shop=canary, other=v2,bad"), `GET ${path}`),
  regular(
    `several lines said to ${path}`,
    fields(
      "x-perch-release: other=v2",
      "A: 1",
      "Baggage: a=1 , perch.shop=canary",
      "X-Perch-Release: shop=v9",
      "baggage: b=%20;c",
    ),
    `GET ${path}`,
  ),
  regular(`baggage of others to ${path}`, fields("baggage: caf\xe9=1,,x", "B: 2"), `GET ${path}`),
  regular(`a version alone said to ${path}`, fields("x-lane: Gray"), `GET ${path}`),
  regular(`a map said to ${path}`, fields('X-Lane: {"shop":"Gray","caf\xe9":"1"}'), `GET ${path}`),
  regular(`a body behind it to ${path}`, fields("x-perch-release: shop=canary", "Content-Length: 2"), `POST ${path}`),
  {
    name: `named by Connection on the way to ${path}`,
    client: request(
      `GET ${path}`,
      user + fields("Connection: baggage, x-perch-release, x-lane", "baggage: a=1", "x-perch-release: shop=canary"),
    ),
  },
  { name: `empty baggage to ${path}`, client: request(`GET ${path}`, user + fields("baggage:", "x-perch-release:")) },
]);

/** The releases of the other suites, with propagation. */
function propagating(acceptFrom: string) {
  return (origins: Origins, folder: string): LaneConfig => {
    const { top, services, routes } = untrusting(origins, folder);
    const accept = `acceptFrom: [${acceptFrom}]`;
    return {
      top: `${top}
    propagate: { baggage: false, ${accept} }
  lane: { propagate: { header: { name: x-lane, format: version, versions: { canary: Gray } }, ${accept} } }`.replace(
        "split: { stable: 100, canary: 0 }",
        `split: { stable: 100, canary: 0 }\n    propagate: { ${accept} }`,
      ),
      services: `${services}
  payments: { versions: { stable: { endpoints: ["${origins.stable}"] } }, external: true }`,
      routes: `
  - { name: external, match: { path: { prefix: /external } }, service: payments, release: shop }
  - { name: lane, match: { path: { prefix: /lane } }, service: shop, release: lane }${routes}`,
    };
  };
}

compareCases("what an accepted caller says", propagating("127.0.0.0/8"), cases);
compareCases("what a stranger says", propagating(""), cases);
compareCases(
  "what is said where nothing is propagated",
  untrusting,
  cases.filter(({ name }) => !/external|lane/.test(name)),
);
