/** Configurations for the timings, loaded from text. */

import type { CompiledConfig } from "../src/config/compiled-config.ts";
import { type LoadResult, loadConfigText } from "../src/config/load.ts";

const head = `
listeners: [{ name: web, address: "127.0.0.1:0" }]
attributes:
  userId:       { type: string, from: [{ header: x-user-id }] }
  region:       { type: string, from: [{ header: x-user-region }] }
  registeredAt: { type: time,   from: [{ header: x-user-registered-at }] }
  appVersion:   { type: semver, from: [{ header: x-app-version }] }
services:
  shop: { versions: { stable: { endpoints: ["http://127.0.0.1:1"] }, canary: { endpoints: ["http://127.0.0.1:2"] } } }
`;

/** Whether requests of `micro-requests.ts` match the last rule; they match no other. */
export type LastRule = "matches" | "misses";

/** A release with this many rules. Their conditions have five shapes in turn, each with one or two facts. */
export function releaseConfig(ruleCount: number, lastRule: LastRule): CompiledConfig {
  const rules = Array.from({ length: ruleCount }, (_, index) => {
    const isLast = index === ruleCount - 1;
    const when = isLast && lastRule === "matches" ? "{ userId: { prefix: user- } }" : missingCondition(index);
    return `      - { name: rule-${index}, when: ${when}, use: canary }`;
  });
  return load(`${head}
releases:
  shop:
    rules: ${rules.length === 0 ? "[]" : `\n${rules.join("\n")}`}
    split: { stable: 90, canary: 10 }
routes: [{ name: shop, match: { path: { prefix: / } }, service: shop, release: shop }]
`);
}

function missingCondition(index: number): string {
  const shapes = [
    `{ region: [north-${index}, south-${index}], registeredAt: { after: 2026-01-01 } }`,
    `{ appVersion: { semver: ">=${10 + index}.1 <${11 + index}" } }`,
    `{ userId: { prefix: staff-${index}- } }`,
    `{ header: { x-device: [tablet-${index}, watch-${index}] } }`,
    `{ registeredAt: { before: 2001-01-01 }, not: { region: island-${index} } }`,
  ];
  return shapes[index % shapes.length] ?? "{}";
}

/** The part of the match that differs between routes. */
export type RouteKey = "host" | "prefix";

export function routeConfig(routeCount: number, key: RouteKey): CompiledConfig {
  const routes = Array.from({ length: routeCount }, (_, index) => {
    const match = key === "host" ? `{ hosts: [${routeHost(index)}] }` : `{ path: { prefix: ${routePrefix(index)} } }`;
    return `  - { name: route-${index}, match: ${match}, service: shop }`;
  });
  return load(`${head}
routes:
${routes.join("\n")}
`);
}

export function routeHost(index: number): string {
  return `shop-${index}.example.com`;
}

export function routePrefix(index: number): string {
  return `/team-${index % 100}/service-${index}/api`;
}

function load(text: string): CompiledConfig {
  const secret = new Uint8Array(32).fill(7);
  const result: LoadResult = loadConfigText(text, { file: "bench.yaml", env: {}, randomSecret: () => secret });
  if (result.ok) return result.compiled;
  throw new Error(`The benchmark's configuration is refused: ${JSON.stringify(result.problems[0])}`);
}
