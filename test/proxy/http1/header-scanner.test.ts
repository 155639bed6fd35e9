import { describe, expect, it } from "vitest";
import { HeaderNameTable } from "../../../src/proxy/http1/header-name-table.ts";
import { HeaderScanner, incomplete, irregular, isSame, PartialHead } from "../../../src/proxy/http1/header-scanner.ts";

function scanned(text: string) {
  const scan = new HeaderScanner();
  const bytes = Buffer.from(text, "latin1");
  return { scan, end: scan.scan(bytes, 0, 0, bytes.length) };
}

/** Around every border between bytes that a value may have and others, without CR and LF, which would end it. */
const likelyBytes = [
  0x00, 0x01, 0x08, 0x09, 0x0b, 0x1f, 0x20, 0x21, 0x61, 0x7e, 0x7f, 0x80, 0x81, 0x9f, 0xa0, 0xff,
].concat(Array.from({ length: 96 }, (_, at) => (at < 48 ? 0x30 + at : 0x80 + at)));

function seeded(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    return (state >>> 8) % below;
  };
}

describe("the scan of fields", () => {
  it("gives the positions of names and values, relative to the head's start", () => {
    const bytes = Buffer.from("....start\r\nAb: c d\r\nE:\t f \r\nG:\r\n\r\nrest");
    const scan = new HeaderScanner();
    expect(scan.scan(bytes, 4, 11, bytes.length)).toBe(bytes.length - 4);
    const text = bytes.toString("latin1", 4);
    const found = Array.from({ length: scan.count }, (_, field) => [
      text.slice(scan.start(field), scan.nameEnd(field)),
      text.slice(scan.valueStart(field), scan.valueEnd(field)),
    ]);
    expect(found).toEqual([
      ["Ab", "c d"],
      ["E", "f"],
      ["G", ""],
    ]);
    expect(scan.evenlySpaced).toBe(false);
  });

  const spacing: readonly [text: string, even: boolean][] = [
    ["A: b\r\n\r\n", true],
    ["\r\n", true],
    ["A: b\tc\r\n\r\n", true],
    ["A:b\r\n\r\n", false],
    ["A:  b\r\n\r\n", false],
    ["A:\tb\r\n\r\n", false],
    ["A: b \r\n\r\n", false],
    ["A: b\t\r\n\r\n", false],
    ["A: \r\n\r\n", false],
    ["A:\r\n\r\n", false],
    ["A: b\r\nC:d\r\nE: f\r\n\r\n", false],
  ];
  it.each(spacing)("%j is evenly spaced: %s", (text, even) => {
    expect(scanned(text).scan.evenlySpaced).toBe(even);
  });

  it("every byte that a name or a value may not have is irregular", () => {
    for (let byte = 0; byte < 256; byte++) {
      const character = String.fromCharCode(byte);
      const isToken = /[!#$%&'*+\-.^_`|~0-9A-Za-z]/.test(character);
      const isValue = /[\t\x20-\x7e\x80-\xff]/.test(character);
      const inName = scanned(`a${character}b: c\r\n\r\n`).end;
      expect([byte, inName]).toEqual([byte, isToken || character === ":" ? 10 : irregular]);
      const inValue = scanned(`a: b${character}c\r\n\r\n`).end;
      expect([byte, inValue]).toEqual([byte, isValue ? 10 : irregular]);
    }
  });

  it("a byte in a long value is judged alike at every place and beside any other", { tags: ["slow"] }, () => {
    const isValue = (byte: number) => byte === 9 || (byte >= 0x20 && byte !== 0x7f);
    for (const around of [0x20, 0x21, 0x7e, 0x80, 0x9f, 0xa0, 0xff]) {
      for (let byte = 0; byte < 256; byte++) {
        for (let place = 1; place < 12; place++) {
          const value = Buffer.alloc(13, around);
          value[place] = byte;
          value[0] = value[12] = 0x61;
          const { end } = scanned(`a: ${value.toString("latin1")}\r\n\r\n`);
          expect([around, byte, place, end]).toEqual([around, byte, place, isValue(byte) ? 20 : irregular]);
        }
      }
    }
  });

  it("values of random bytes are judged as byte by byte", { tags: ["slow"] }, () => {
    const random = seeded(20_261_125);
    for (let round = 0; round < 20_000; round++) {
      const bytes = Array.from({ length: 1 + random(24) }, () => likelyBytes[random(likelyBytes.length)] as number);
      const value = String.fromCharCode(...bytes);
      const good = /^[\t\x20-\x7e\x80-\xff]*$/.test(value);
      const { end } = scanned(`a: ${value}\r\n\r\n`);
      expect([value, end]).toEqual([value, good ? value.length + 7 : irregular]);
    }
  });

  it("is incomplete for every prefix", () => {
    const text = "A: b\r\nCd:\t e \r\n\r\n";
    for (let length = 0; length < text.length; length++) expect(scanned(text.slice(0, length)).end).toBe(incomplete);
    expect(scanned(text).end).toBe(text.length);
  });
});

/** Names with one hash: in its base, 31, `a_` weighs as much as b with a grave accent. */
function collidingNames(count: number): string[] {
  return Array.from({ length: count }, (_, number) =>
    Array.from({ length: 10 }, (_, bit) => ((number >> bit) & 1 ? "a_" : "b`")).join(""),
  );
}

describe("the table of names", () => {
  const table = () => new HeaderNameTable<string>("usual", (name) => `kind of ${name}`);
  const kindIn = (of: HeaderNameTable<string>, name: string) => {
    // The head does not begin at the buffer's start.
    const bytes = Buffer.from(`....${name}: x\r\n\r\n`, "latin1");
    const scan = new HeaderScanner();
    scan.scan(bytes, 4, 4, bytes.length, of);
    return of.kinds[scan.kindIndex(0)];
  };

  const hashOf = (name: string) => {
    const bytes = Buffer.from(`${name}: 1\r\n\r\n`, "latin1");
    let seen = 0;
    new HeaderScanner().scan(bytes, 0, 0, bytes.length, {
      indexOf(_bytes, _start, _end, hash) {
        seen = hash;
        return 0;
      },
    });
    return seen;
  };

  it("a name's hash is that of its lower-case form", () => {
    expect(hashOf("X-Request-ID")).toBe(hashOf("x-request-id"));
    expect(hashOf("X-Request-ID")).not.toBe(hashOf("x-request-ie"));
  });

  it("finds a name in any case", () => {
    const names = table();
    for (const name of ["Host", "HOST", "host"]) expect(kindIn(names, name)).toBe("kind of host");
  });

  it("distinguishes names with one hash", () => {
    const found = [...collidingNames(500), "x^y", "x~y"];
    expect(new Set(found.slice(0, 500).map(hashOf)).size).toBe(1);
    expect(hashOf("x^y")).toBe(hashOf("x~y"));
    const names = table();
    for (let round = 0; round < 2; round++) {
      for (const name of found) expect(kindIn(names, name)).toBe(`kind of ${name}`);
    }
  });

  it("keeps a bounded number of names that clients send, and finds the others all the same", () => {
    let asked = 0;
    const names = new HeaderNameTable<string>("usual", (name) => {
      asked++;
      return name;
    });
    for (let round = 0; round < 2; round++) {
      for (let i = 0; i < 3000; i++) expect(kindIn(names, `x-${i}`)).toBe(`x-${i}`);
    }
    expect(asked).toBe(6000 - 400);
  });

  it("a name that differs in one bit is another", () => {
    const isNamed = (sent: string, name: string) => isSame(Buffer.from(`.${sent}`, "latin1"), 1, name);
    expect(isNamed("HOST", "host")).toBe(true);
    expect(isNamed("HOS\x74", "host")).toBe(true);
    expect(isNamed("HOS", "host")).toBe(false);
    // 0x0d | 0x20 is a hyphen, 0x5e | 0x20 a tilde: only letters have a case.
    expect(isNamed("x\ra", "x-a")).toBe(false);
    expect(isNamed("x^a", "x~a")).toBe(false);
    expect(isNamed("x~a", "x^a")).toBe(false);
  });
});

describe("a partial head", () => {
  it("keeps a copy of its bytes, whose buffer may be overwritten", () => {
    const bytes = Buffer.from("..GET / HT");
    const partial = new PartialHead(bytes, 2, bytes.length);
    bytes.fill(0);
    const more = Buffer.from("TP/1.1\r\n..");
    expect(partial.append(more, 0, 8)).toBe(true);
    more.fill(0);
    expect(partial.bytes.toString("latin1", 0, partial.length)).toBe("GET / HTTP/1.1\r\n");
  });

  it("reports whether a piece ends a line", () => {
    const partial = new PartialHead(Buffer.from("a\n"), 0, 2);
    expect(partial.append(Buffer.from("\nb"), 1, 2)).toBe(false);
    expect(partial.append(Buffer.from("\r"), 0, 1)).toBe(false);
    expect(partial.append(Buffer.from("\n"), 0, 1)).toBe(true);
  });

  it("grows as needed", () => {
    const partial = new PartialHead(Buffer.alloc(5_000, "a"), 0, 5_000);
    for (let i = 0; i < 30; i++) partial.append(Buffer.alloc(1_000, "b"), 0, 1_000);
    expect(partial.bytes.toString("latin1", 0, partial.length)).toBe("a".repeat(5_000) + "b".repeat(30_000));
  });
});
