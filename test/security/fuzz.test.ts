import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { baggageVersion, mergeBaggage } from "../../src/http/baggage.ts";
import { lanes } from "../kit/one-service.ts";
import { Edge } from "./edge.ts";

const bounded = { seed: 20_261_125, numRuns: 60 };

describe("baggage of any client", () => {
  const piece = fc.constantFrom(
    "perch.",
    "shop",
    "perch%2eshop",
    "%70erch.shop",
    "=",
    ";",
    ",",
    " ",
    "\t",
    '"',
    "%",
    "a",
    "\xa0",
  );
  const list = fc.oneof(
    fc.string(),
    fc.array(piece, { maxLength: 60 }).map((pieces) => pieces.join("")),
  );

  it("passes no member of Perch, and leaves other members unchanged", () => {
    fc.assert(
      fc.property(list, (received) => {
        const merged = mergeBaggage(received, () => false, "perch.shop=stable");
        expect(baggageVersion(merged ?? "", "shop")).toBe("stable");
        const others = mergeBaggage(received, () => true, undefined);
        expect(others ?? "").toBe(received);
      }),
      { ...bounded, numRuns: 2_000 },
    );
  });
});

describe.each(lanes)("client data in upstream headers, in the $lane lane", ({ fastLane }) => {
  const edge = Edge.forSuite(`
fastLane: ${fastLane}
attributes: { said: { type: string, from: [{ query: q }, { cookie: q }] } }
services: { shop: { versions: { stable: { endpoints: ["UPSTREAM"] } } } }
releases: { shop: { split: { stable: 1 }, propagate: { header: x-perch-release, baggage: true } } }
routes:
  - name: all
    service: shop
    release: shop
    requestHeaders: { set: { x-said: "\${attribute.said}", x-asked: "\${path}" } }`);
  const byte = fc.integer({ min: 0, max: 255 });
  const encoded = fc
    .array(byte, { maxLength: 20 })
    .map((bytes) => bytes.map((code) => `%${code.toString(16).padStart(2, "0")}`).join(""));
  const evil = fc.constantFrom("%0d%0aX-Evil:%201", "%0aX-Evil:%201", "%00", "%e2%80%a8", "__proto__", "constructor");
  const text = fc.array(fc.oneof(encoded, evil), { maxLength: 4 }).map((parts) => parts.join(""));
  const fieldText = fc.string({ maxLength: 30 }).map((written) => written.replace(/[^\t\x20-\x7e]/g, ""));

  it("adds no field, and the request upstream is strict HTTP", async () => {
    await fc.assert(
      fc.asyncProperty(text, text, fieldText, fieldText, async (path, query, cookie, baggage) => {
        const fields = `Host: a\r\nCookie: q=${cookie}\r\nBaggage: ${baggage}\r\nConnection: close\r\n`;
        const { statuses, requests, problems } = await edge.attack(`GET /${path}?q=${query} HTTP/1.1\r\n${fields}\r\n`);
        expect(problems).toEqual([]);
        expect(["200 1", "400 0"]).toContain(`${statuses.join()} ${requests.length}`);
        expect(requests.flatMap((request) => request.fields).filter((field) => /^x-evil/i.test(field))).toEqual([]);
      }),
      bounded,
    );
    expect((await edge.perch.admin("/livez")).status).toBe(200);
  });
});
