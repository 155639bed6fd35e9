import { parseAddress } from "../../src/decide/ip-address.ts";

/** What a record may hold. */
export type Value = string | number | boolean | readonly Value[] | { readonly [name: string]: Value } | RawBytes;

/** Bytes of a data section as they are, for what no writer would write. */
export class RawBytes {
  readonly bytes: Buffer;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }
}

export interface MmdbOptions {
  readonly ipVersion?: 4 | 6;
  readonly recordSize?: 24 | 28 | 32;
  readonly type?: string;
  readonly metadata?: Readonly<Record<string, Value>>;
}

type Node = [Node | Leaf | undefined, Node | Leaf | undefined];
interface Leaf {
  readonly offset: number;
}

/**
 * A MaxMind database (https://maxmind.github.io/MaxMind-DB/) of these networks, in CIDR; a later one is cut out of
 * those before it that hold it.
 */
export function mmdb(networks: Readonly<Record<string, Value>>, options: MmdbOptions = {}): Buffer {
  const { ipVersion = 6, recordSize = 24, type = "Test-City", metadata = {} } = options;
  const root: Node = [undefined, undefined];
  const data: Buffer[] = [];
  let length = 0;
  for (const [network, record] of Object.entries(networks)) {
    const bytes = encode(record);
    insert(root, bitsOf(network, ipVersion), { offset: length });
    data.push(bytes);
    length += bytes.length;
  }
  const nodes = numbered(root);
  const tree = Buffer.concat(nodes.map((node) => encodeNode(node, nodes, recordSize)));
  const described = encode({
    binary_format_major_version: 2,
    binary_format_minor_version: 0,
    build_epoch: 1_780_000_000,
    database_type: type,
    description: { en: "Made for a test" },
    ip_version: ipVersion,
    languages: ["en"],
    node_count: nodes.length,
    record_size: recordSize,
    ...metadata,
  });
  const marker = Buffer.from("abcdef4d61784d696e642e636f6d", "hex");
  return Buffer.concat([tree, Buffer.alloc(16), ...data, marker, described]);
}

function bitsOf(network: string, ipVersion: 4 | 6): readonly number[] {
  const [text = "", length = ""] = network.split("/");
  const words = parseAddress(text)?.words;
  if (words === undefined) throw new TypeError(`${network} is no network`);
  const bits = words.flatMap((word) => Array.from({ length: 32 }, (_, bit) => (word >>> (31 - bit)) & 1));
  // The tree holds IPv4 at ::/96, not where it is mapped to.
  const four = bits.slice(96, 96 + Number(length));
  if (!text.includes(":")) return ipVersion === 4 ? four : [...new Array(96).fill(0), ...four];
  return bits.slice(0, Number(length));
}

function insert(root: Node, bits: readonly number[], leaf: Leaf): void {
  let node = root;
  for (const [index, bit] of bits.entries()) {
    if (index === bits.length - 1) {
      node[bit] = leaf;
      return;
    }
    const next = node[bit];
    const below: Node = Array.isArray(next) ? next : [next, next];
    node[bit] = below;
    node = below;
  }
}

function numbered(root: Node): Node[] {
  const nodes = [root];
  for (const node of nodes) for (const next of node) if (Array.isArray(next)) nodes.push(next);
  return nodes;
}

function encodeNode(node: Node, nodes: readonly Node[], recordSize: 24 | 28 | 32): Buffer {
  const [left, right] = node.map((next) => {
    if (next === undefined) return nodes.length;
    return Array.isArray(next) ? nodes.indexOf(next) : nodes.length + 16 + next.offset;
  });
  return encodeRecords(left ?? 0, right ?? 0, recordSize);
}

function encodeRecords(left: number, right: number, recordSize: 24 | 28 | 32): Buffer {
  const bytes = Buffer.alloc(recordSize / 4);
  if (recordSize === 28) {
    bytes.writeUIntBE(left & 0xffffff, 0, 3);
    bytes[3] = ((left >>> 24) << 4) | (right >>> 24);
    bytes.writeUIntBE(right & 0xffffff, 4, 3);
  } else {
    bytes.writeUIntBE(left, 0, recordSize / 8);
    bytes.writeUIntBE(right, recordSize / 8, recordSize / 8);
  }
  return bytes;
}

function encode(value: Value): Buffer {
  if (value instanceof RawBytes) return value.bytes;
  if (typeof value === "string") return Buffer.concat([control(2, Buffer.byteLength(value)), Buffer.from(value)]);
  if (typeof value === "boolean") return control(14, value ? 1 : 0);
  if (typeof value === "number") {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(value);
    return Buffer.concat([control(6, 4), bytes]);
  }
  if (Array.isArray(value)) return Buffer.concat([control(11, value.length), ...value.map(encode)]);
  const entries = Object.entries(value as Readonly<Record<string, Value>>);
  return Buffer.concat([
    control(7, entries.length),
    ...entries.flatMap(([name, part]) => [encode(name), encode(part)]),
  ]);
}

/** The bytes before a value: its type and its length. */
export function control(type: number, length: number): Buffer {
  const [size, ...more] =
    length < 29
      ? [length]
      : length < 285
        ? [29, length - 29]
        : length < 65_821
          ? [30, (length - 285) >> 8, (length - 285) & 255]
          : [31, (length - 65_821) >> 16, ((length - 65_821) >> 8) & 255, (length - 65_821) & 255];
  return Buffer.from(type < 8 ? [(type << 5) | (size ?? 0), ...more] : [size ?? 0, type - 7, ...more]);
}

/** A pointer to an offset in the data section, in its longest form. */
export function pointerTo(offset: number): Buffer {
  const bytes = Buffer.from([0x38, 0, 0, 0, 0]);
  bytes.writeUInt32BE(offset, 1);
  return bytes;
}
