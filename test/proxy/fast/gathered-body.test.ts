import { beforeEach, describe, expect, it } from "vitest";
import { readArea } from "../../../src/proxy/fast/arena.ts";
import { GatheredBody } from "../../../src/proxy/fast/gathered-body.ts";

function sent(body: GatheredBody): string {
  let text = "";
  body.passTo({
    addText: (end) => {
      text += end;
    },
    passBytes: (bytes, from, to) => {
      text += bytes.toString("latin1", from, to);
    },
  });
  return text;
}

describe("a gathered body", () => {
  const body = new GatheredBody();

  beforeEach(() => body.clear());

  it("has the bytes of the current event, of which none is copied yet", () => {
    readArea.write("..abc..def", "latin1");
    body.passBytes(readArea, 2, 5);
    body.passBytes(readArea, 7, 10);
    expect(sent(body)).toBe("abcdef");
    readArea.write("..ABC", "latin1");
    expect(sent(body)).toBe("ABCdef");
  });

  it("has them in later events too, in the order in which they came", () => {
    const other = Buffer.from("-other-");
    for (const piece of ["one", "two"]) {
      readArea.write(piece, "latin1");
      body.passBytes(readArea, 0, 3);
      body.settle();
    }
    body.passBytes(other, 1, 6);
    readArea.write("last", "latin1");
    body.passBytes(readArea, 0, 4);
    other.fill("!");
    body.keep(Buffer.from("kept"), 0, 4);
    readArea.fill("!", 0, 8);
    body.ended("\r\n");
    expect(sent(body)).toBe("onetwootherlastkept\r\n");
    expect(body.content().toString()).toBe("onetwootherlastkept");
    body.clear();
    expect([sent(body), body.content().length]).toEqual(["", 0]);
  });
});
