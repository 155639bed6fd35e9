import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { loadConfigText } from "../../../src/config/load.ts";
import { AccessLog } from "../../../src/observe/access-log.ts";
import { Observer } from "../../../src/observe/observer.ts";
import type { Outcome } from "../../../src/observe/outcome.ts";
import type { HandoverCause } from "../../../src/observe/process-stats.ts";
import { StatsRegistry } from "../../../src/observe/stats-registry.ts";
import { ActiveSnapshot } from "../../../src/proxy/active-snapshot.ts";
import { CachedClock } from "../../../src/proxy/cached-clock.ts";
import { DownstreamInfo } from "../../../src/proxy/downstream.ts";
import { FastLane } from "../../../src/proxy/fast/fast-lane.ts";
import { FastUpstreamPools } from "../../../src/proxy/fast/upstream-pool.ts";
import { OverloadManager } from "../../../src/proxy/overload.ts";
import type { ProxyContext } from "../../../src/proxy/proxy-context.ts";
import type { Snapshot } from "../../../src/proxy/snapshot.ts";
import { MirrorSender } from "../../../src/proxy/standard/mirror-sender.ts";
import { EndpointRegistry, noopEndpointEvents } from "../../../src/upstream/endpoint-registry.ts";
import { freeAfterTest } from "../../kit/freed.ts";

/** What ended, as the observer saw it. */
export type Ended = Pick<Outcome, "method" | "path" | "status" | "error" | "attemptCount">;

/** A fast lane alone, on a port of its own, whose clock the test moves. */
export class LaneWithClock {
  nowMs = 1_000_000;
  readonly pools: FastUpstreamPools = new FastUpstreamPools(
    new CachedClock({ nowMs: () => Date.UTC(2026, 0, 1), monotonicMs: () => this.nowMs }),
  );
  readonly ended: Ended[] = [];
  readonly handedOver: HandoverCause[] = [];
  readonly defects: unknown[] = [];
  readonly other: Socket[] = [];
  readonly lane: FastLane;
  draining = false;
  readonly #server: Server = createServer({ allowHalfOpen: true, noDelay: true });

  private constructor(yaml: string) {
    const active = activeSnapshot(
      yaml,
      new EndpointRegistry({ ...noopEndpointEvents, retired: (endpoint) => this.pools.retire(endpoint) }),
    );
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
      mirrors: new MirrorSender(),
      handedOver: (cause) => void this.handedOver.push(cause),
      defect: (error) => void this.defects.push(error),
    };
    this.lane = new FastLane(context, this.pools, { accept: (socket) => this.other.push(socket) });
    this.#server.on("connection", (socket) => {
      const { remoteAddress, localPort } = socket;
      this.lane.accept(
        socket,
        new DownstreamInfo({ remoteAddress, localPort, scheme: "http", transport: "tcp" }, () => {}),
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

  /** The lane's one timer looks at the clock ten times a second; what is due by then fires. */
  async pass(ms: number): Promise<void> {
    this.nowMs += ms;
    await new Promise((resolve) => setTimeout(resolve, 250));
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

/** Keeps what ended beside counting it. */
class Recorder extends Observer {
  readonly #ended: Ended[];

  constructor(ended: Ended[]) {
    super(new AccessLog({ destination: silent, sample: 0, nowMs: () => 0 }));
    this.#ended = ended;
  }

  override observe(...[outcome, stats]: Parameters<Observer["observe"]>): void {
    const { method, path, status, error, attemptCount } = outcome;
    this.#ended.push({ method, path, status, error, attemptCount });
    super.observe(outcome, stats);
  }
}

function activeSnapshot(yaml: string, endpoints: EndpointRegistry): ActiveSnapshot {
  const loaded = loadConfigText(yaml, { file: "perch.yaml", env: {}, randomSecret: () => new Uint8Array(32) });
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  return new ActiveSnapshot(new StatsRegistry(), endpoints, loaded.compiled, loaded.hash);
}

/** What a configuration says to the lane. */
export function snapshotOf(yaml: string): Snapshot {
  return activeSnapshot(yaml, new EndpointRegistry(noopEndpointEvents)).current;
}

const silent = { write: () => {}, flush: async () => {}, close: async () => {} };
