import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { BodyReader } from "../../../src/proxy/fast/body-parser.ts";
import { PartialHead } from "../../../src/proxy/fast/header-scanner.ts";
import { HttpDate } from "../../../src/proxy/fast/response-writer.ts";
import { ReadBuffers } from "../../../src/proxy/fast/socket-writer.ts";
import { EventTurns } from "../../../src/proxy/fast/timer-wheel.ts";

describe("a body", () => {
  function read(framing: number | "chunked" | "until close", ...pieces: readonly string[]) {
    const body = new BodyReader(framing, 1024);
    let passed = "";
    let taken = 0;
    for (const piece of pieces) {
      const octets = Buffer.from(piece, "latin1");
      const passOctets = (all: Buffer, from: number, to: number) => {
        passed += all.toString("latin1", from, to);
      };
      taken += body.read(octets, 0, octets.length, { passOctets });
    }
    return { body, passed, taken };
  }

  it("of a length takes so many octets and no more, in whatever pieces", () => {
    for (const pieces of [["helloGET"], ["hel", "loGET"], [..."helloGET"]]) {
      const { body, passed, taken } = read(5, ...pieces);
      expect([body.complete, body.bytes, passed, taken]).toEqual([true, 5, "hello", 5]);
    }
  });

  it("of no length is complete before anything came, and takes nothing", () => {
    expect(new BodyReader(0, 1024).complete).toBe(true);
    expect(read(0, "GET").taken).toBe(0);
  });

  it("short of its length is not complete, nor when the sender closes", () => {
    const { body } = read(5, "hell");
    expect(body.complete).toBe(false);
    body.closed();
    expect(body.complete).toBe(false);
  });

  it("until the close is complete with it, and not before", () => {
    const { body, passed } = read("until close", "any", "thing");
    expect([body.complete, passed, body.bytes]).toEqual([false, "anything", 8]);
    body.closed();
    expect(body.complete).toBe(true);
  });

  it("in chunks is not completed by the close", () => {
    const { body } = read("chunked", "5\r\nhello\r\n0\r\n");
    body.closed();
    expect(body.complete).toBe(false);
  });

  it("in chunks tells its content, its trailers and what is wrong", () => {
    const { body, taken } = read("chunked", "5\r\nhello\r\n0\r\nA: b\r\n\r\nGET");
    expect([body.complete, body.bytes, body.trailers, taken]).toEqual([true, 5, ["A", "b"], 21]);
    const { body: bad } = read("chunked", "5\r\nhelloo");
    expect([bad.complete, bad.failure]).toEqual([false, "bad-request"]);
  });
});

describe("turns of the event loop", () => {
  it("events in one turn are in the same, those in the next are not", async () => {
    const turns = new EventTurns(() => {});
    turns.happened();
    const first = turns.current;
    turns.happened();
    expect(turns.current).toBe(first);
    await nextTurn();
    turns.happened();
    expect(turns.current).not.toBe(first);
  });

  it("asking is enough for a turn to end, and whoever wants to know is told once", async () => {
    let ended = 0;
    const turns = new EventTurns(() => ended++);
    const first = turns.current;
    turns.happened();
    await nextTurn();
    expect([turns.current === first, ended]).toEqual([false, 1]);
  });

  it("can not be told past as many events as may be two turns'", async () => {
    const turns = new EventTurns(() => {});
    for (let i = 0; i < 512; i++) turns.happened();
    expect(turns.current).toBeGreaterThanOrEqual(0);
    turns.happened();
    expect(turns.current).toBe(-1);
    await nextTurn();
    turns.happened();
    expect(turns.current).toBeGreaterThanOrEqual(0);
  });
});

it("a date is that of its second, made once", () => {
  let nowMs = Date.UTC(1994, 10, 6, 8, 49, 37);
  const date = new HttpDate(() => nowMs);
  const first = date.now();
  expect(first).toBe("Sun, 06 Nov 1994 08:49:37 GMT");
  nowMs += 999;
  expect(date.now()).toBe(first);
  nowMs += 1;
  expect(date.now()).toBe("Sun, 06 Nov 1994 08:49:38 GMT");
  nowMs -= 2_000;
  expect(date.now()).toBe("Sun, 06 Nov 1994 08:49:36 GMT");
});

describe("a partial head", () => {
  it("keeps a copy of what came, whatever becomes of the buffer that it came in", () => {
    const octets = Buffer.from("..GET / HT");
    const partial = new PartialHead(octets, 2, octets.length);
    octets.fill(0);
    const more = Buffer.from("TP/1.1\r\n..");
    expect(partial.append(more, 0, 8)).toBe(true);
    more.fill(0);
    expect(partial.octets.toString("latin1", 0, partial.length)).toBe("GET / HTTP/1.1\r\n");
  });

  it("tells whether a piece ends a line", () => {
    const partial = new PartialHead(Buffer.from("a\n"), 0, 2);
    expect(partial.append(Buffer.from("\nb"), 1, 2)).toBe(false);
    expect(partial.append(Buffer.from("\r"), 0, 1)).toBe(false);
    expect(partial.append(Buffer.from("\n"), 0, 1)).toBe(true);
  });

  it("grows as it must", () => {
    const partial = new PartialHead(Buffer.alloc(5_000, "a"), 0, 5_000);
    for (let i = 0; i < 30; i++) partial.append(Buffer.alloc(1_000, "b"), 0, 1_000);
    expect(partial.octets.toString("latin1", 0, partial.length)).toBe("a".repeat(5_000) + "b".repeat(30_000));
  });
});

it("buffers come back as they are given, and not more are kept than so many", () => {
  const buffers = new ReadBuffers();
  const taken = Array.from({ length: 40 }, () => buffers.take());
  expect(new Set([...taken, buffers.shared]).size).toBe(41);
  for (const buffer of taken) buffers.giveBack(buffer);
  const again = new Set(Array.from({ length: 40 }, () => buffers.take()));
  expect(again.size).toBe(40);
  expect(taken.filter((buffer) => again.has(buffer))).toHaveLength(32);
});
