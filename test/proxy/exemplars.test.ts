import { describe, expect, it } from "vitest";
import { upstream } from "../kit/freed.ts";
import { exchange, lanes, perchIn } from "../kit/one-service.ts";
import type { TestPerch } from "../kit/perch.ts";
import { openMetricsProblems } from "../kit/strict-open-metrics.ts";

const ids = ["0af7651916cd43dd8448eb211c80319c", "1af7651916cd43dd8448eb211c80319c"] as const;

const getTraced = (traceId: string, flags: string) =>
  `GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\ntraceparent: 00-${traceId}-b7ad6b7169203331-${flags}\r\n\r\n`;

async function scraped({ adminOrigin }: TestPerch): Promise<string> {
  return (await fetch(`${adminOrigin}/metrics`, { headers: { accept: "application/openmetrics-text" } })).text();
}

/** The metrics that have exemplars, with the trace of each. */
const exemplarsOf = (body: string) =>
  Array.from(body.matchAll(/^(\w+)_bucket.* # \{trace_id="(\w+)"\} \S+ \d+\.\d{3}$/gm), ([, name, id]) => [name, id]);

describe.each(lanes)("exemplars, in the $lane lane", ({ fastLane }) => {
  const perchTo = perchIn(fastLane);

  it("are those of recorded requests alone", async () => {
    const stable = await upstream("stable");
    const more = "trustedProxies: [127.0.0.0/8]\ntracing: { sample: 0 }";
    const started = await perchTo(stable.origin, more);
    await exchange(started.port, getTraced(ids[0], "01"));
    await exchange(started.port, getTraced(ids[1], "00"));
    const body = await scraped(started);
    expect(openMetricsProblems(body)).toEqual([]);
    expect(exemplarsOf(body)).toEqual([
      ["perch_request_duration_seconds", ids[0]],
      ["perch_upstream_ttfb_seconds", ids[0]],
    ]);
    expect(await (await started.admin("/metrics")).text()).not.toContain(ids[0]);
  });

  it("are none without tracing", async () => {
    const stable = await upstream("stable");
    const started = await perchTo(stable.origin, "trustedProxies: [127.0.0.0/8]");
    await exchange(started.port, getTraced(ids[0], "01"));
    expect(exemplarsOf(await scraped(started))).toEqual([]);
  });
});

it("exemplars of workers are shown by the one process they are", { timeout: 60_000 }, async () => {
  const stable = await upstream("stable");
  const started = await perchIn("on")(stable.origin, "workers: 2\ntracing: { sample: 1 }");
  for (const id of ids) await exchange(started.port, getTraced(id, "00"));
  const shown = exemplarsOf(await scraped(started));
  expect(shown.map(([name]) => name)).toContain("perch_request_duration_seconds");
  expect(shown.every(([, id]) => id === ids[0] || id === ids[1])).toBe(true);
});
