import { expect, test } from "vitest";
import { createEngine } from "../../../src/index.ts";

const costly = Array.from({ length: 30_000 }, (_, at) => ((at * at * 31 + at * 7) % 97 < 48 ? "a" : "b")).join("");
const yaml = `
services: { shop: { versions: { stable: { endpoints: ["http://127.0.0.1:1"] }, canary: { endpoints: ["http://127.0.0.1:2"] } } } }
releases:
  shop:
    rules:
      - { name: costly, when: { header: { x-text: { regex: "a[ab]{300}c" } } }, use: canary }
      - { name: next, when: { header: { x-word: { regex: "b[ab]{300}c" } } }, use: canary }
      - { name: last, when: { header: { x-word: { regex: "^word$" } } }, use: canary }
    split: { stable: 1, canary: 0 }
routes: [{ name: shop, service: shop, release: shop }]
`;

test("an explanation names the patterns that were not tried to the end, as the decision took them", () => {
  const engine = createEngine(yaml, { env: {} });
  const request = { method: "GET", url: "/", headers: { "x-text": costly, "x-word": "word" } };
  expect(engine.decide(request)).toMatchObject({ version: "canary", rule: "last" });
  const explained = JSON.stringify(engine.explain(request));
  expect(explained.match(/is not matched: patterns would take more than 1 ms of this request/g)).toHaveLength(2);
  expect(JSON.stringify(engine.explain({ ...request, headers: { "x-text": "ac" } }))).not.toContain("1 ms");
});
