import { afterAll, beforeAll } from "vitest";
import { Bell } from "../kit/bell.ts";
import { startPerch, type TestPerch } from "../kit/perch.ts";
import { RawClient } from "../kit/raw-client.ts";
import { RecordingUpstream } from "../kit/recording-upstream.ts";
import type { StrictMessage } from "../kit/strict-bytes.ts";
import { readStrictResponse } from "../kit/strict-response.ts";

/** The effects of a hostile connection. */
export interface Aftermath {
  /** Status codes of the responses, which are strict HTTP/1.1. */
  readonly statuses: readonly number[];
  readonly received: string;
  /** Complete requests at the upstream. */
  readonly requests: readonly StrictMessage[];
  /** Why the upstream's requests are not strict HTTP/1.1. */
  readonly problems: readonly string[];
}

const ordinary = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/** One Perch for all tests of a suite, in front of an upstream that parses strictly. */
export class Edge {
  readonly bell = new Bell();
  #upstream: RecordingUpstream | undefined;
  #perch: TestPerch | undefined;
  /** The upstream's answer to every request. */
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

  /** Sends bytes on a new connection, and waits until Perch closes it or has announced to. */
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
    if (statuses === undefined) throw new Error(`no complete responses: ${JSON.stringify(received)}`);
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

/** Undefined where there are bytes other than complete responses. */
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
