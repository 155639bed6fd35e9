import { afterAll, beforeAll } from "vitest";
import { Bell } from "../kit/bell.ts";
import { startPerch, type TestPerch } from "../kit/perch.ts";
import { RawClient } from "../kit/raw-client.ts";
import { RecordingUpstream } from "../kit/recording-upstream.ts";
import type { StrictMessage } from "../kit/strict-bytes.ts";
import { readStrictResponse } from "../kit/strict-response.ts";

/** What a hostile connection brought about. */
export interface Aftermath {
  /** Status codes of the answers, which are strict HTTP/1.1. */
  readonly statuses: readonly number[];
  readonly received: string;
  /** Requests that the upstream got whole. */
  readonly requests: readonly StrictMessage[];
  /** What the upstream got that is no strict HTTP/1.1. */
  readonly problems: readonly string[];
}

const ordinary = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/** One Perch for all tests of a suite, before an upstream that reads strictly what it gets. */
export class Edge {
  readonly bell = new Bell();
  #upstream: RecordingUpstream | undefined;
  #perch: TestPerch | undefined;
  /** What the upstream says to whatever it is asked. */
  answer = ordinary;

  static forSuite(yaml: string): Edge {
    const edge = new Edge();
    beforeAll(() => edge.#start(yaml));
    afterAll(() => edge.#stop());
    return edge;
  }

  get port(): number {
    return this.perch.port;
  }

  get perch(): TestPerch {
    if (this.#perch === undefined) throw new Error("Perch did not start");
    return this.#perch;
  }

  /** Sends bytes on a connection of their own, and waits until Perch has closed it, or has said that it will. */
  async attack(bytes: string, methods: readonly string[] = []): Promise<Aftermath> {
    const client = await RawClient.connect(this.port);
    client.send(bytes);
    const received = await client.read(
      (text) => /\r\nConnection: close\r\n/i.test(text) && statusesOf(text, methods) !== undefined,
    );
    const upstream = this.#upstream?.connections ?? [];
    const requests = upstream.flatMap((connection) => connection.requests.map(({ message }) => message));
    const problems = upstream.flatMap(({ problem }) => problem ?? []);
    this.#upstream?.reset();
    client.close();
    const statuses = statusesOf(received, methods);
    if (statuses === undefined) throw new Error(`no whole answers: ${JSON.stringify(received)}`);
    return { statuses, received, requests, problems };
  }

  async #start(yaml: string): Promise<void> {
    const answer = () => ({ answer: { steps: [{ send: this.answer }] }, arrival: 0 });
    const director = { bell: this.bell, answer, clientHas: () => false, waitMs: 5_000 };
    this.#upstream = await RecordingUpstream.start(director);
    this.#perch = await startPerch(yaml.replaceAll("UPSTREAM", this.#upstream.origin));
  }

  async #stop(): Promise<void> {
    await this.#perch?.stop();
    await this.#upstream?.close();
  }
}

/** Undefined where there are other bytes than whole answers. */
function statusesOf(received: string, methods: readonly string[]): readonly number[] | undefined {
  const statuses: number[] = [];
  for (let at = 0; at < received.length; ) {
    const reading = readStrictResponse(received, at, methods[statuses.length] ?? "GET");
    if (reading.kind !== "complete") return undefined;
    statuses.push(Number(reading.message.startLine.split(" ")[1]));
    at = reading.end;
  }
  return statuses;
}

/** One service behind every path. */
export const oneService = (fastLane: "on" | "off", more = "") => `
fastLane: ${fastLane}
services:
  shop:
    versions: { stable: { endpoints: ["UPSTREAM"] } }
    timeouts: { connect: 1s, responseHeaders: 1s, idle: 1s }
routes: [{ name: all, service: shop }]
${more}`;
