import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { expect } from "vitest";
import { AccessLog } from "../../../src/observe/access-log.ts";
import { Observer } from "../../../src/observe/observer.ts";
import type { Outcome } from "../../../src/observe/outcome.ts";
import type { HandoverCause } from "../../../src/observe/process-stats.ts";
import { DownstreamInfo } from "../../../src/proxy/downstream.ts";
import { CachedClock } from "../../../src/proxy/fast/cached-clock.ts";
import { FastLane } from "../../../src/proxy/fast/fast-lane.ts";
import { FastUpstreamPools } from "../../../src/proxy/fast/upstream-pool.ts";
import { OverloadManager } from "../../../src/proxy/overload.ts";
import type { ProxyContext } from "../../../src/proxy/proxy-context.ts";
import { MirrorSender } from "../../../src/proxy/standard/mirror-sender.ts";
import type { Endpoint } from "../../../src/upstream/endpoint.ts";
import { EndpointRegistry, noopEndpointEvents } from "../../../src/upstream/endpoint-registry.ts";
import { turn } from "../../kit/bell.ts";
import { freeAfterTest, rawClient } from "../../kit/freed.ts";
import type { RawClient } from "../../kit/raw-client.ts";
import { activeSnapshot } from "../../kit/snapshot.ts";
import { unwatchedTail } from "../../kit/unwatched-tail.ts";

/** An exchange that has ended, as the observer saw it. */
export type Ended = Pick<Outcome, "method" | "path" | "status" | "error" | "attemptCount">;

/** A fast lane alone, on a port of its own. Its clock stands still until the test moves it. */
export class LaneWithClock {
  nowMs = 1_000_000;
  readonly #clock = new CountingClock({ nowMs: () => Date.UTC(2026, 0, 1), monotonicMs: () => this.nowMs });
  readonly pools: FastUpstreamPools = new FastUpstreamPools(this.#clock);
  readonly ended: Ended[] = [];
  readonly handedOver: HandoverCause[] = [];
  readonly defects: unknown[] = [];
  readonly other: Socket[] = [];
  readonly lane: FastLane;
  draining = false;
  readonly #server: Server = createServer({ allowHalfOpen: true, noDelay: true });

  private constructor(yaml: string) {
    // Deadlines are looked at when the test says so.
    this.pools.context.deadlines.stop();
    const events = { ...noopEndpointEvents, retired: (endpoint: Endpoint) => this.pools.retire(endpoint) };
    const active = activeSnapshot(yaml, { endpoints: new EndpointRegistry(events) });
    const observer = new Recorder(this.ended);
    const isDraining = () => this.draining;
    const context: ProxyContext = {
      get snapshot() {
        return active.current;
      },
      get draining() {
        return isDraining();
      },
      observer,
      nowMs: () => Date.UTC(2026, 0, 1),
      monotonicMs: () => this.nowMs,
      randomFraction: () => 0.5,
      randomUnit: { int32: () => 1 },
      newRequestId: () => "request-id",
      streamed: () => {},
      spans: { add: () => {} },
      overload: new OverloadManager(
        () => this.nowMs,
        () => {},
      ),
      mirrors: new MirrorSender(this.#clock.nowMs),
      refused: () => {},
      handedOver: (cause) => void this.handedOver.push(cause),
      defect: (error) => void this.defects.push(error),
    };
    this.lane = new FastLane(context, this.pools, { accept: (socket) => this.other.push(socket) });
    this.#server.on("connection", (socket) => {
      const { remoteAddress, localPort } = socket;
      this.lane.accept(
        socket,
        new DownstreamInfo({ remoteAddress, localPort, scheme: "http", listener: "web", transport: "tcp" }, () => {}),
      );
    });
  }

  static async start(yaml: string): Promise<LaneWithClock> {
    const lane = new LaneWithClock(yaml);
    lane.#server.listen(0, "127.0.0.1");
    await once(lane.#server, "listening");
    freeAfterTest(async () => lane.#stop());
    return lane;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** A client whose connection the lane has accepted. */
  async client(): Promise<RawClient> {
    const accepted = once(this.#server, "connection");
    const client = await rawClient(this.port);
    await accepted;
    return client;
  }

  /** Acts, and resolves once the lane has read something from a client or an upstream since. */
  async reads(act: () => void): Promise<void> {
    const before = this.#clock.reads;
    act();
    await expect.poll(() => this.#clock.reads, { interval: 1 }).toBeGreaterThan(before);
  }

  /** Moves the clock; what is due by then fires, and has reached the peers when this resolves. */
  async pass(ms: number): Promise<void> {
    this.nowMs += ms;
    this.pools.context.deadlines.advance();
    await turn();
    await turn();
  }

  async #stop(): Promise<void> {
    for (const socket of this.other) socket.destroy();
    this.#server.close();
    const closed = this.lane.close();
    this.lane.destroy();
    await closed;
    this.pools.destroy();
  }
}

/** Counts the reads that the lane has handled, each of which freezes the clock. */
class CountingClock extends CachedClock {
  reads = 0;

  override unfreeze(): void {
    super.unfreeze();
    this.reads++;
  }
}

/** Also keeps what has ended. */
class Recorder extends Observer {
  readonly #ended: Ended[];

  constructor(ended: Ended[]) {
    super(new AccessLog({ destination: silent, sample: 0, nowMs: () => 0 }), unwatchedTail);
    this.#ended = ended;
  }

  override observe(...[outcome, stats]: Parameters<Observer["observe"]>): void {
    const { method, path, status, error, attemptCount } = outcome;
    this.#ended.push({ method, path, status, error, attemptCount });
    super.observe(outcome, stats);
  }
}

const silent = { write: () => {}, flush: async () => {}, close: async () => {} };
