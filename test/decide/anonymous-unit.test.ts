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

describe("the unit of a first contact", () => {
  it("is one for all that a page's first load sends, on any replica", () => {
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
    ["parts that run into one another", browser({ agent: "Firefo", language: "xen" })],
  ])("is another for %s", (_what, facts) => {
    expect(replica().unit("document", facts, nowMs)).not.toEqual(replica().unit("document", browser(), nowMs));
  });

  it("is another for another release and with another secret", () => {
    const unit = replica().unit("document", browser(), nowMs);
    expect(new ProvisionalUnits("blog", secret).unit("document", browser(), nowMs)).not.toEqual(unit);
    expect(new ProvisionalUnits("shop", Buffer.alloc(32)).unit("document", browser(), nowMs)).not.toEqual(unit);
  });

  it("is another half a minute later, so that a crowd of equal browsers is not one for long", () => {
    const contacts = replica();
    const unit = contacts.unit("document", browser(), nowMs);
    expect(contacts.unit("document", browser(), nowMs + windowMs)).not.toEqual(unit);
  });

  it("is the document's where a window ends between it and what it loads", () => {
    const contacts = replica();
    const edge = nowMs + windowMs / 2;
    const unit = contacts.unit("document", browser(), edge - 1);
    expect(contacts.unit("asset", browser(), edge + 1)).toEqual(unit);
    expect(contacts.unit("call", browser(), edge + windowMs - 2)).toEqual(unit);
    expect(contacts.unit("asset", browser(), edge + windowMs)).not.toEqual(unit);
  });

  it("is that of the first part where the document was another's to serve", () => {
    const contacts = replica();
    const edge = nowMs + windowMs / 2;
    const unit = contacts.unit("asset", browser(), edge - 1);
    expect(contacts.unit("asset", browser(), edge + 1)).toEqual(unit);
  });

  it("is none where the client's address is not known: all would be one", () => {
    expect(replica().unit("document", factsOf(), nowMs)).toBeUndefined();
  });

  it("is as good as a random one: shares are what the weights say", () => {
    const contacts = replica();
    const draw = new Draw("shop", "", { stable: 90, canary: 10 });
    const count = 20_000;
    let canary = 0;
    for (let at = 0; at < count; at++) {
      const facts = browser({ address: `10.0.${at >> 8}.${at & 0xff}` });
      const unit = contacts.unit("document", facts, nowMs);
      if (unit !== undefined && draw.pick(unit) === "canary") canary++;
    }
    // Four standard deviations.
    expect(Math.abs(canary / count - 0.1)).toBeLessThan(4 * Math.sqrt((0.1 * 0.9) / count));
  });

  it("forgets browsers beyond its memory, and keeps to the window then", () => {
    const contacts = new ProvisionalUnits("shop", secret, 10);
    const edge = nowMs + windowMs / 2;
    const unit = contacts.unit("document", browser(), edge - 1);
    for (let at = 0; at < 30; at++) contacts.unit("document", browser({ agent: `bot ${at}` }), edge);
    expect(contacts.unit("asset", browser(), edge + 1)).not.toEqual(unit);
  });
});
