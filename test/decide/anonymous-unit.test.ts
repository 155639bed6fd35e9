import { describe, expect, it } from "vitest";
import { ProvisionalUnits } from "../../src/decide/anonymous-unit.ts";
import { Draw } from "../../src/decide/draw.ts";
import type { Facts } from "../../src/decide/facts.ts";
import { parseAddress } from "../../src/decide/ip-address.ts";
import { factsOf } from "./shop-release.ts";

const secret = Buffer.from("a secret of thirty-two bytes ...");
const windowMs = 30_000;
/** The middle of a window. */
const nowMs = windowMs * 1_000_000 + windowMs / 2;

const replica = () => new ProvisionalUnits("shop", secret);

function browser(given: { address?: string; agent?: string; language?: string } = {}): Facts {
  const { address = "192.0.2.1", agent = "Firefox", language = "en" } = given;
  return factsOf({
    clientAddress: parseAddress(address),
    headers: { "user-agent": agent, "accept-language": language },
  });
}

describe("ProvisionalUnits", () => {
  it("gives all requests of a page's first load one unit, on any replica", () => {
    const unit = replica().unit("document", browser(), nowMs);
    expect(unit).toMatchObject({ source: "random" });
    for (const part of ["document", "asset", "call"] as const) {
      expect(replica().unit(part, browser(), nowMs)).toEqual(unit);
    }
  });

  it.each([
    ["another address", browser({ address: "192.0.2.2" })],
    ["another browser", browser({ agent: "Safari" })],
    ["another language", browser({ language: "zh" })],
    ["values whose concatenation is equal", browser({ agent: "Firefo", language: "xen" })],
  ])("gives another unit for %s", (_what, facts) => {
    expect(replica().unit("document", facts, nowMs)).not.toEqual(replica().unit("document", browser(), nowMs));
  });

  it("gives another unit for another release and with another secret", () => {
    const unit = replica().unit("document", browser(), nowMs);
    expect(new ProvisionalUnits("blog", secret).unit("document", browser(), nowMs)).not.toEqual(unit);
    expect(new ProvisionalUnits("shop", Buffer.alloc(32)).unit("document", browser(), nowMs)).not.toEqual(unit);
  });

  it("gives another unit after a window, so that identical browsers do not share one for long", () => {
    const units = replica();
    const unit = units.unit("document", browser(), nowMs);
    expect(units.unit("document", browser(), nowMs + windowMs)).not.toEqual(unit);
  });

  it("keeps the document's unit for its assets and calls if a window ends during the page load", () => {
    const units = replica();
    const edge = nowMs + windowMs / 2;
    const unit = units.unit("document", browser(), edge - 1);
    expect(units.unit("asset", browser(), edge + 1)).toEqual(unit);
    expect(units.unit("call", browser(), edge + windowMs - 2)).toEqual(unit);
    expect(units.unit("asset", browser(), edge + windowMs)).not.toEqual(unit);
  });

  it("keeps the first asset's unit if this process did not serve the document", () => {
    const units = replica();
    const edge = nowMs + windowMs / 2;
    const unit = units.unit("asset", browser(), edge - 1);
    expect(units.unit("asset", browser(), edge + 1)).toEqual(unit);
  });

  it("gives no unit if the client address is unknown: all clients would share it", () => {
    expect(replica().unit("document", factsOf(), nowMs)).toBeUndefined();
  });

  it("gives units that are drawn in proportion to the weights", () => {
    const units = replica();
    const draw = new Draw("shop", "", { stable: 90, canary: 10 });
    const count = 20_000;
    let canary = 0;
    for (let at = 0; at < count; at++) {
      const facts = browser({ address: `10.0.${at >> 8}.${at & 0xff}` });
      const unit = units.unit("document", facts, nowMs);
      if (unit !== undefined && draw.pick(unit) === "canary") canary++;
    }
    // Four standard deviations.
    expect(Math.abs(canary / count - 0.1)).toBeLessThan(4 * Math.sqrt((0.1 * 0.9) / count));
  });

  it("forgets the oldest browsers over its limit, whose assets then get the current window's unit", () => {
    const units = new ProvisionalUnits("shop", secret, 10);
    const edge = nowMs + windowMs / 2;
    const unit = units.unit("document", browser(), edge - 1);
    for (let at = 0; at < 30; at++) units.unit("document", browser({ agent: `bot ${at}` }), edge);
    expect(units.unit("asset", browser(), edge + 1)).not.toEqual(unit);
  });
});
