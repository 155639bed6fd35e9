import { expect, test } from "vitest";
import { metricsFormat } from "../../src/admin/queries.ts";

test.each([
  { about: "no Accept", accept: undefined, format: "prometheus" },
  { about: "a wildcard", accept: "*/*", format: "prometheus" },
  { about: "the Accept of a browser", accept: "text/html,application/xml;q=0.9,*/*;q=0.8", format: "prometheus" },
  { about: "OpenMetrics", accept: "application/openmetrics-text", format: "open-metrics" },
  {
    about: "the Accept of Prometheus 3",
    accept:
      "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
    format: "open-metrics",
  },
  {
    about: "a preference for the text format",
    accept: "text/plain;version=0.0.4;q=0.9,application/openmetrics-text;version=1.0.0;q=0.5",
    format: "prometheus",
  },
  { about: "OpenMetrics excluded", accept: "application/openmetrics-text;q=0,*/*", format: "prometheus" },
  { about: "only an unknown version", accept: "application/openmetrics-text; version=2.0.0", format: "prometheus" },
  { about: "an invalid quality", accept: "application/openmetrics-text;q=x", format: "prometheus" },
  { about: "upper-case letters", accept: "Application/OpenMetrics-Text; Version=1.0.0; Q=1", format: "open-metrics" },
])("$about selects $format", ({ accept, format }) => {
  expect(metricsFormat(accept)).toBe(format);
});
