import { expect, test } from "vitest";
import { metricsFormat } from "../../src/admin/api.ts";

test.each([
  { about: "nothing", accept: undefined, format: "prometheus" },
  { about: "anything", accept: "*/*", format: "prometheus" },
  { about: "what a browser takes", accept: "text/html,application/xml;q=0.9,*/*;q=0.8", format: "prometheus" },
  { about: "OpenMetrics", accept: "application/openmetrics-text", format: "open-metrics" },
  {
    about: "what Prometheus 3 takes",
    accept:
      "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
    format: "open-metrics",
  },
  {
    about: "the text rather than OpenMetrics",
    accept: "text/plain;version=0.0.4;q=0.9,application/openmetrics-text;version=1.0.0;q=0.5",
    format: "prometheus",
  },
  { about: "anything but OpenMetrics", accept: "application/openmetrics-text;q=0,*/*", format: "prometheus" },
  { about: "a version to come alone", accept: "application/openmetrics-text; version=2.0.0", format: "prometheus" },
  { about: "a quality that is none", accept: "application/openmetrics-text;q=x", format: "prometheus" },
  { about: "other letters", accept: "Application/OpenMetrics-Text; Version=1.0.0; Q=1", format: "open-metrics" },
])("a scraper that takes $about gets $format", ({ accept, format }) => {
  expect(metricsFormat(accept)).toBe(format);
});
