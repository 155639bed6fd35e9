import { describe, expect, it } from "vitest";
import { PlainHead } from "../../src/http/plain-head.ts";
import { AccessLog } from "../../src/observe/access-log.ts";
import { Observer } from "../../src/observe/observer.ts";
import { Exchange } from "../../src/proxy/exchange.ts";
import { ForwardState, type ForwardTransport } from "../../src/proxy/forward-state.ts";
import type { Refusal } from "../../src/proxy/local-reply.ts";
import { OverloadManager } from "../../src/proxy/overload.ts";
import type { ProxyContext } from "../../src/proxy/proxy-context.ts";
import type { Endpoint } from "../../src/upstream/endpoint.ts";
import { turn } from "../kit/bell.ts";
import { snapshotOf } from "../kit/snapshot.ts";
import { unwatchedTail } from "../kit/unwatched-tail.ts";

const yaml = (more = "") => `
services: { shop: { ${more} versions: { stable: { endpoints: ["http://a:80", "http://b:80"] } } } }
routes: [{ name: all, service: shop }]
`;

/** A lane without bytes: it keeps what the state asks of it, and what it answers is the test's to set. */
class Lane implements ForwardTransport {
  isReady = true;
  bodyState: "replayable" | "consumed" = "replayable";
  awaitsBody = false;
  clientIsBehind = false;
  readonly calls: string[] = [];
  send(endpoint: Endpoint): void {
    this.calls.push(`send ${endpoint.address.host}`);
  }
  queued(): void {
    this.calls.push("queued");
  }
  abandonAttempt(): void {
    this.calls.push("abandon");
  }
  reply({ error }: Refusal): void {
    this.calls.push(`reply ${error}`);
  }
  cut(): void {
    this.calls.push("cut");
  }
}

function forwarding(more?: string, method = "GET") {
  const lines: string[] = [];
  const destination = { write: (line: string) => void lines.push(line), flush: async () => {}, close: async () => {} };
  const context: ProxyContext = {
    snapshot: snapshotOf(yaml(more)),
    observer: new Observer(new AccessLog({ destination, sample: 1, nowMs: () => 0 }), unwatchedTail),
    nowMs: () => 0,
    monotonicMs: () => 0,
    randomFraction: () => 0,
    randomUnit: { int32: () => 7 },
    newRequestId: () => "id",
    defect: () => {},
    streamed: () => {},
    handedOver: () => {},
    refused: () => {},
    overload: new OverloadManager(
      () => 0,
      () => {},
    ),
    mirrors: { begin: () => undefined },
    spans: { add: () => {} },
    draining: false,
  };
  const head = PlainHead.read({ method, url: "/x", headers: { host: "shop" } });
  if ("problem" in head) throw new Error(head.problem);
  const caller = { address: undefined, trusted: false, scheme: "http", localPort: 80, listener: "web" } as const;
  const exchange = new Exchange(context, caller, head);
  expect(exchange.begin()).toBeUndefined();
  if (exchange.attempts === undefined) throw new Error("not to be forwarded");
  const lane = new Lane();
  const state = new ForwardState(lane, context.defect);
  state.restart(exchange, exchange.attempts);
  let expireTotal = () => {};
  let totalMs = 0;
  exchange.limitWaitMs = 30;
  state.start(1_000, (ms, callback) => {
    totalMs = ms;
    expireTotal = callback;
    return () => {};
  });
  const logged = () => lines.map((line): Record<string, unknown> => JSON.parse(line));
  return { state, lane, exchange, totalMs, expireTotal: () => expireTotal(), logged };
}

type Forwarding = ReturnType<typeof forwarding>;

/** Brings a new request so far. */
const until: Readonly<Record<string, (made: Forwarding) => void>> = {
  waiting: ({ lane, state }) => {
    lane.isReady = false;
    state.begin();
  },
  connecting: ({ state }) => state.begin(),
  sent: ({ state }) => {
    state.begin();
    state.phase = "sent";
  },
  responding: ({ state }) => {
    state.begin();
    state.phase = "sent";
    state.responseStarted(200);
  },
};

describe("a timeout", () => {
  it("of the whole exchange covers the wait for the verdict of a shared rate limit", () => {
    expect(forwarding().totalMs).toBe(970);
  });

  const cases: readonly (readonly [
    sentence: string,
    phase: string,
    lane: Partial<Lane>,
    step: readonly string[],
    total: readonly string[],
  ])[] = [
    [
      "before the first attempt is the client's",
      "waiting",
      { awaitsBody: true },
      ["abandon", "reply request-timeout"],
      ["abandon", "reply request-timeout"],
    ],
    [
      "of a connection is tried elsewhere, unless the whole time is over",
      "connecting",
      {},
      ["abandon", "send b"],
      ["abandon", "reply upstream-timeout"],
    ],
    [
      "of an upload is the client's",
      "sent",
      { awaitsBody: true },
      ["abandon", "reply request-timeout"],
      ["abandon", "reply request-timeout"],
    ],
    [
      "of a response is the upstream's",
      "sent",
      {},
      ["abandon", "reply upstream-timeout"],
      ["abandon", "reply upstream-timeout"],
    ],
    ["of a response under way cuts it", "responding", {}, ["abandon", "cut"], ["abandon", "cut"]],
    ["while the client does not read cuts it", "responding", { clientIsBehind: true }, ["cut"], ["cut"]],
  ];

  it.each(cases)("%s", (_sentence, phase, lane, step, total) => {
    for (const [wanted, expire] of [
      [step, (made: Forwarding) => made.state.stepExceeded(false)],
      [total, (made: Forwarding) => made.expireTotal()],
    ] as const) {
      const made = forwarding();
      until[phase]?.(made);
      Object.assign(made.lane, lane);
      made.lane.calls.length = 0;
      expire(made);
      expect(made.lane.calls).toEqual(wanted);
    }
  });
});

describe("the cause that is logged", () => {
  it.each([
    ["of a response that does not begin", "sent", "upstream-timeout response-headers", "upstream-timeout total"],
    ["of a response that pauses", "responding", "upstream-timeout idle", "upstream-timeout total"],
  ])("%s is the limit", (_sentence, phase, step, total) => {
    for (const [wanted, expire] of [
      [step, (made: Forwarding) => made.state.stepExceeded(false)],
      [total, (made: Forwarding) => made.expireTotal()],
    ] as const) {
      const made = forwarding();
      until[phase]?.(made);
      expire(made);
      made.state.end(phase === "responding" ? "incomplete" : "complete", 200);
      expect(made.logged().map(({ error, cause }) => `${error} ${cause}`)).toEqual([wanted]);
    }
  });

  it("is not that of an earlier attempt that was repeated", () => {
    const made = forwarding();
    until["connecting"]?.(made);
    made.state.attemptFailed("connect-failed", "ECONNREFUSED");
    made.state.phase = "sent";
    made.state.clientStalled();
    made.state.end("incomplete", 200);
    expect(made.logged()).toMatchObject([{ error: "client-closed", cause: "closed", attempts: 2 }]);
  });
});

describe("a failed attempt", () => {
  it.each([
    [
      "that reached no endpoint is not repeated once the body is consumed",
      "POST",
      "connect-failed",
      "consumed",
      "reply connect-failed",
    ],
    ["that reached no endpoint is repeated with any method", "POST", "connect-failed", "replayable", "send b"],
    ["by a reset is repeated for an idempotent method", "GET", "upstream-reset", "replayable", "send b"],
    ["by a reset is not repeated for another method", "POST", "upstream-reset", "replayable", "reply upstream-reset"],
    ["by a malformed response is not repeated", "GET", "upstream-malformed", "replayable", "reply upstream-malformed"],
  ] as const)("%s", (_sentence, method, failure, bodyState, wanted) => {
    const made = forwarding(undefined, method);
    until["sent"]?.(made);
    made.lane.bodyState = bodyState;
    made.state.attemptFailed(failure);
    expect(made.lane.calls.at(-1)).toBe(wanted);
  });

  it("changes nothing once the request has ended", () => {
    const made = forwarding();
    until["sent"]?.(made);
    made.state.abort("body-too-large");
    const calls = [...made.lane.calls];
    made.state.attemptFailed("upstream-reset");
    expect(made.lane.calls).toEqual(calls);
  });
});

describe("a queued request", () => {
  const limited = "limits: { maxInFlight: 1, maxPending: 1, pendingTimeout: 1m },";

  it("is sent apart from the event that granted its permit", async () => {
    const made = forwarding();
    made.state.onPermit();
    await Promise.resolve();
    expect(made.lane.calls).toEqual([]);
    await turn();
    expect(made.lane.calls).toEqual(["send a"]);
  });

  it("is not sent after it has ended", async () => {
    const made = forwarding(limited);
    made.state.onPermit();
    made.state.abort("request-timeout");
    await turn();
    expect(made.lane.calls).toEqual(["abandon", "reply request-timeout"]);
  });
});

describe("the end", () => {
  it.each([
    ["complete", "sent", { status: 200 }],
    ["incomplete", "sent", { status: 499, error: "client-closed" }],
  ] as const)("%s is logged once, as what the client got", (end, phase, wanted) => {
    const made = forwarding();
    until[phase]?.(made);
    made.state.responseStarted(200);
    made.state.end(end, 200);
    made.state.end(end, 200);
    expect(made.logged()).toEqual([expect.objectContaining(wanted)]);
  });

  it("after a cut keeps the response's status, and says why", () => {
    const made = forwarding();
    until["responding"]?.(made);
    made.state.attemptFailed("upstream-reset");
    made.state.end("incomplete", 200);
    expect(made.logged()).toEqual([expect.objectContaining({ status: 200, error: "upstream-reset" })]);
  });
});
