import fc from "fast-check";
import { expect, test } from "vitest";
import { SseReader } from "../../src/dashboard/store/sse-reader.ts";

const stream =
  ': a comment\nretry: 2000\n\nevent: state\ndata: {"a":1}\n\nid: x.7\nevent: log\ndata: one\ndata: two\n\ndata\n\nid: x.8\n\n';
const events = [
  { event: "state", data: '{"a":1}', id: undefined },
  { event: "log", data: "one\ntwo", id: "x.7" },
  { event: "message", data: "", id: undefined },
];

test("events are the same however the stream is cut, with either line end", () => {
  const text = fc.constantFrom(stream, stream.replaceAll("\n", "\r\n"));
  fc.assert(
    fc.property(text, fc.array(fc.nat(200), { maxLength: 12 }), (whole, cuts) => {
      const reader = new SseReader();
      const at = [0, ...cuts.map((cut) => cut % whole.length).sort((left, right) => left - right), whole.length];
      const pieces = at.slice(1).map((end, index) => whole.slice(at[index], end));
      expect(pieces.flatMap((piece) => reader.read(piece))).toEqual(events);
    }),
  );
});

test("an endless line is an error, not an endless memory", () => {
  const reader = new SseReader();
  const piece = "x".repeat(1024 * 1024);
  expect(() => {
    for (let mebibytes = 0; mebibytes < 20; mebibytes++) reader.read(piece);
  }).toThrow(RangeError);
});
