import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { once } from "node:events";
import { freeAfterTest } from "./freed.ts";

export type RecordType = "A" | "AAAA" | "SRV";

/** Records of a name by type, in their written form (`10.0.0.1`, `fd00::1`, `0 1 8080 target.example`). */
export type Zone = Record<string, Partial<Record<RecordType, readonly string[]>>>;

/** How a server answers, also as a broken or overloaded one. */
export type Mood = "answers" | "servfail" | "refused" | "nxdomain" | "silent";

const typeNumbers: Readonly<Record<RecordType, number>> = { A: 1, AAAA: 28, SRV: 33 };
const typeNames = new Map(Object.entries(typeNumbers).map(([name, value]) => [value, name as RecordType]));

const responseCodes = { noError: 0, servfail: 2, nameError: 3, refused: 5 };

/** A name server on loopback (RFC 1035 over UDP), whose zone may change at any time. */
export class TestDnsServer {
  zone: Zone = {};
  ttlSeconds = 1;
  mood: Mood = "answers";
  /** Other moods for single types. */
  readonly moods = new Map<RecordType, Mood>();
  /** Every question, such as `shop.example A`. */
  readonly asked: string[] = [];
  readonly #socket: Socket;
  #held: { readonly type: RecordType | undefined; readonly sends: (() => void)[] } | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("message", (query, from) => this.#answer(query, from));
  }

  static async start(zone: Zone = {}): Promise<TestDnsServer> {
    const socket = createSocket("udp4");
    socket.bind(0, "127.0.0.1");
    await once(socket, "listening");
    const server = new TestDnsServer(socket);
    server.zone = zone;
    freeAfterTest(async () => {
      socket.close();
      await once(socket, "close");
    });
    return server;
  }

  get address(): string {
    return `127.0.0.1:${this.#socket.address().port}`;
  }

  /** Holds back responses, or those of one type, until the returned function is called; they are as of that moment. */
  hold(type?: RecordType): () => void {
    this.#held = { type, sends: [] };
    return () => {
      const held = this.#held?.sends ?? [];
      this.#held = undefined;
      for (const send of held) send();
    };
  }

  #answer(query: Buffer, { address, port }: RemoteInfo): void {
    const { name, end } = readName(query, 12);
    const type = typeNames.get(query.readUInt16BE(end));
    this.asked.push(`${name} ${type ?? query.readUInt16BE(end)}`);
    const mood = (type && this.moods.get(type)) ?? this.mood;
    if (mood === "silent") return;
    const send = () => this.#socket.send(this.#response(query, name, end, type, mood), port, address);
    if (this.#held !== undefined && (this.#held.type ?? type) === type) this.#held.sends.push(send);
    else send();
  }

  #response(query: Buffer, name: string, end: number, type: RecordType | undefined, mood: Mood): Buffer {
    const records = mood === "answers" && type !== undefined ? (this.zone[name]?.[type] ?? []) : [];
    const answers = records.map((record) => this.#record(type ?? "A", record));
    const header = Buffer.alloc(12);
    header.writeUInt16BE(query.readUInt16BE(0), 0);
    // A response, authoritative, recursion available.
    header.writeUInt16BE(0x8480 | (query.readUInt16BE(2) & 0x0100) | this.#code(name, mood), 2);
    header.writeUInt16BE(1, 4);
    header.writeUInt16BE(answers.length, 6);
    return Buffer.concat([header, query.subarray(12, end + 4), ...answers]);
  }

  #code(name: string, mood: Mood): number {
    if (mood === "servfail") return responseCodes.servfail;
    if (mood === "refused") return responseCodes.refused;
    return mood === "nxdomain" || this.zone[name] === undefined ? responseCodes.nameError : responseCodes.noError;
  }

  /** A resource record whose name points to the question's. */
  #record(type: RecordType, written: string): Buffer {
    const data = type === "A" ? ipv4(written) : type === "AAAA" ? ipv6(written) : service(written);
    const head = Buffer.alloc(12);
    head.writeUInt16BE(0xc00c, 0);
    head.writeUInt16BE(typeNumbers[type], 2);
    head.writeUInt16BE(1, 4);
    head.writeUInt32BE(this.ttlSeconds, 6);
    head.writeUInt16BE(data.length, 10);
    return Buffer.concat([head, data]);
  }
}

function readName(message: Buffer, from: number): { readonly name: string; readonly end: number } {
  const labels: string[] = [];
  let at = from;
  for (let length = message.readUInt8(at++); length > 0; length = message.readUInt8(at++)) {
    labels.push(message.toString("latin1", at, at + length));
    at += length;
  }
  return { name: labels.join(".").toLowerCase(), end: at };
}

function ipv4(written: string): Buffer {
  return Buffer.from(written.split(".").map(Number));
}

function ipv6(written: string): Buffer {
  const [before = "", after = ""] = written.split("::");
  const groups = (text: string) => (text === "" ? [] : text.split(":").map((group) => Number.parseInt(group, 16)));
  const [first, last] = [groups(before), groups(after)];
  const all = [...first, ...Array.from({ length: 8 - first.length - last.length }, () => 0), ...last];
  return Buffer.from(all.flatMap((group) => [group >> 8, group & 0xff]));
}

/** `priority weight port target` */
function service(written: string): Buffer {
  const [priority, weight, port, target = ""] = written.split(" ");
  const numbers = Buffer.alloc(6);
  for (const [at, value] of [priority, weight, port].entries()) numbers.writeUInt16BE(Number(value), at * 2);
  const labels = target.split(".").flatMap((label) => [Buffer.from([label.length]), Buffer.from(label)]);
  return Buffer.concat([numbers, ...labels, Buffer.from([0])]);
}
