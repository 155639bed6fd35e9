import { describe, expect, it } from "vitest";
import { tracing } from "./configurations.ts";
import { answer, chunks, type LaneCase, request, reset } from "./lane-case.ts";
import { LanePair } from "./lane-pair.ts";

const traceId = "a".repeat(32);
const parent = (flags: string, version = "00") => `traceparent: ${version}-${traceId}-${"b".repeat(16)}-${flags}\r\n`;

/** The fields sent, and those that both upstreams receive. */
const cases: readonly (LaneCase & { readonly traceparent: string; readonly tracestate?: string })[] = [
  { name: "none", client: request(), regular: true, traceparent: "<trace>-<span>-00" },
  { name: "recorded", client: request("GET /", parent("01")), regular: true, traceparent: `${traceId}-<span>-01` },
  { name: "not recorded", client: request("GET /", parent("00")), regular: true, traceparent: `${traceId}-<span>-00` },
  { name: "a random id", client: request("GET /", parent("03")), regular: true, traceparent: `${traceId}-<span>-03` },
  { name: "unknown flags", client: request("GET /", parent("fe")), regular: true, traceparent: `${traceId}-<span>-02` },
  { name: "malformed", client: request("GET /", parent("1")), regular: true, traceparent: "<trace>-<span>-00" },
  { name: "twice", client: request("GET /", parent("01").repeat(2)), regular: true, traceparent: "<trace>-<span>-00" },
  {
    name: "with a state in lines",
    client: request(
      "GET /",
      `TraceParent: 00-${traceId}-${"b".repeat(16)}-01\r\ntracestate: a=1,b=2\r\nTraceState: c=3\r\n`,
    ),
    regular: true,
    traceparent: `${traceId}-<span>-01`,
    tracestate: "a=1,b=2,c=3",
  },
  {
    name: "a state without a parent",
    client: request("GET /", "tracestate: a=1\r\n"),
    regular: true,
    traceparent: "<trace>-<span>-00",
  },
  {
    name: "with a body",
    client: request("POST /", `${parent("01")}Content-Length: 5\r\n`, "hello"),
    regular: true,
    traceparent: `${traceId}-<span>-01`,
  },
  {
    name: "with a chunked body",
    client: request("POST /plain", `${parent("01")}Transfer-Encoding: chunked\r\n`, chunks(["hello"])),
    regular: true,
    traceparent: `${traceId}-<span>-01`,
  },
  {
    name: "named by Connection",
    client: request("GET /", `${parent("01")}Connection: traceparent, tracestate\r\n`),
    traceparent: `${traceId}-<span>-01`,
  },
  {
    name: "tried twice",
    client: request("GET /plain", parent("01")),
    upstream: [answer(reset)],
    regular: true,
    traceparent: `${traceId}-<span>-01`,
  },
];

describe("a traceparent", () => {
  const pair = LanePair.forSuite(tracing);

  it.each(cases)("leaves both lanes alike: $name", async ({ traceparent, tracestate, ...laneCase }) => {
    const { view } = await pair().compare(laneCase);
    const sent = [...view.matchAll(/^ {2}(trace\w+): (.*)$/gm)].map(([, name, value]) => `${name}: ${value}`);
    const once = [`traceparent: 00-${traceparent}`, ...(tracestate === undefined ? [] : [`tracestate: ${tracestate}`])];
    // That of a mirrored request or a second attempt differs in its span only.
    expect(sent).toEqual(laneCase.name === "with a chunked body" ? once : [...once, ...once]);
  });

  it("is in both logs", async () => {
    await pair().compareLogs();
  });
});
