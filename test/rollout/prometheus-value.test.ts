import { describe, expect, it } from "vitest";
import { readPrometheusValue } from "../../src/rollout/external/prometheus-value.ts";

const answer = (resultType: string, result: unknown) =>
  JSON.stringify({ status: "success", data: { resultType, result } });
const series = (value: string) => ({ metric: { job: "shop" }, value: [1, value] });

describe("the value of a query", () => {
  it.each([
    ["a scalar", answer("scalar", [1, "0.5"]), 0.5],
    ["a vector of one", answer("vector", [series("1e-3")]), 0.001],
    ["a number below zero", answer("vector", [series("-2")]), -2],
  ])("is read from %s", (_sentence, text, value) => {
    expect(readPrometheusValue(200, text)).toEqual({ kind: "value", value });
  });

  const parseError = JSON.stringify({ status: "error", errorType: "bad_data", error: "parse error" });
  it.each([
    ["an empty vector", 200, answer("vector", []), "nothing matches it"],
    [
      "two series",
      200,
      answer("vector", [series("1"), series("2")]),
      "it gives 2 series; let it give one, such as with sum()",
    ],
    ["NaN", 200, answer("vector", [series("NaN")]), "it gives NaN"],
    ["an infinity", 200, answer("scalar", [1, "+Inf"]), "it gives +Inf"],
    ["a matrix", 200, answer("matrix", []), "it gives a matrix; let it give one number"],
    ["a histogram", 200, answer("vector", [{ metric: {}, histogram: [1, {}] }]), "it gives no number"],
    ["an error", 400, parseError, "Prometheus answered 400: parse error"],
    ["another status", 502, "<html>", "it answered 502"],
    ["something else", 200, "<html>", "its answer is not a response of Prometheus"],
    ["another JSON", 200, "[1]", "its answer is not a response of Prometheus"],
  ])("is none in %s", (_sentence, status, text, why) => {
    expect(readPrometheusValue(status, text)).toEqual({ kind: "none", why });
  });
});
