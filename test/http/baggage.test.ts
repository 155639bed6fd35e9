import { describe, expect, it } from "vitest";
import { baggageMember, baggageVersion, mergeBaggage } from "../../src/http/baggage.ts";
import { expectLinearTime, nothingBut } from "../kit/linear-time.ts";

const keepsNone = () => false;
const keepsOther = (release: string) => release === "other";
const members = (count: number) => Array.from({ length: count }, (_, at) => `k${at}=v`).join(",");

describe("the baggage that goes on", () => {
  it.each([
    { is: "the client's, byte for byte", sent: "b=2 ; p=q,a=%31,,\t c", wanted: "b=2 ; p=q,a=%31,,\t c" },
    { is: "without a member of ours", sent: "a=1, perch.shop=canary;x=y, b=2", wanted: "a=1, b=2" },
    { is: "without the first", sent: "perch.shop=canary, b=2", wanted: "b=2" },
    { is: "without each of several", sent: "perch.a=1,perch.b=2 , c=3,perch.d", wanted: "c=3" },
    { is: "nothing where ours were all", sent: "perch.shop=canary", wanted: undefined },
    { is: "without one whose key is encoded", sent: "%70erch.shop=canary,a=1", wanted: "a=1" },
    { is: "without one behind what some readers trim", sent: "a=1,\xa0perch.shop=canary", wanted: "a=1" },
    { is: "without one in quotes", sent: 'a="1,perch.shop=canary"', wanted: 'a="1' },
    {
      is: "with keys that only look like ours",
      sent: "Perch.a=1,perch=2,xperch.a=3",
      wanted: "Perch.a=1,perch=2,xperch.a=3",
    },
    { is: "with values and properties that do", sent: "a=perch.shop;perch.b=c", wanted: "a=perch.shop;perch.b=c" },
  ])("is $is", ({ sent, wanted }) => {
    expect(mergeBaggage(sent, keepsNone, undefined)).toBe(wanted);
  });

  it.each([
    { is: "ours alone", sent: undefined, wanted: "perch.shop=canary" },
    { is: "ours alone, for an empty list", sent: " ,\t,", wanted: "perch.shop=canary" },
    { is: "ours behind the others, which stay as they are", sent: "b=2 , a=1", wanted: "b=2 , a=1,perch.shop=canary" },
    { is: "ours in place of the caller's", sent: "perch.shop=v2,a=1", wanted: "a=1,perch.shop=canary" },
    { is: "another release's kept", sent: "perch.other=v2,a=1", wanted: "perch.other=v2,a=1,perch.shop=canary" },
    { is: "no empty member before ours", sent: "a=1, ,", wanted: "a=1,perch.shop=canary" },
    { is: "ours as the 64th member", sent: members(63), wanted: `${members(63)},perch.shop=canary` },
    { is: "no 65th member", sent: members(64), wanted: members(64) },
    { is: "ours up to 8192 bytes", sent: `a=${"x".repeat(8172)}`, wanted: `a=${"x".repeat(8172)},perch.shop=canary` },
    { is: "nothing beyond 8192 bytes", sent: `a=${"x".repeat(8173)}`, wanted: `a=${"x".repeat(8173)}` },
    { is: "what is malformed, passed on", sent: 'no value, "x', wanted: 'no value, "x,perch.shop=canary' },
  ])("is $is, merged", ({ sent, wanted }) => {
    expect(mergeBaggage(sent, keepsOther, baggageMember("shop", "canary"))).toBe(wanted);
  });
});

describe("what the baggage says of a release", () => {
  it.each([
    ["a=1,perch.shop=canary", "canary"],
    [" perch.shop = canary ; ttl=1", "canary"],
    ["perch.shop=canary,perch.shop=v2", "canary"],
    ["perch.shopping=canary", undefined],
    ["perch.shop;x=y", undefined],
    ["perch.shop", undefined],
    ["a=perch.shop=canary", undefined],
  ])("%s: %s", (baggage, wanted) => {
    expect(baggageVersion(baggage, "shop")).toBe(wanted);
  });
});

describe("hostile baggage", () => {
  it.each(["perch.a=1,", ",", " ", "%41", "perch.", "=;", "a,\t", '"'])("takes linear time: %j", (piece) => {
    const text = nothingBut(piece);
    expectLinearTime(() => {
      mergeBaggage(text, keepsNone, "perch.shop=canary");
      baggageVersion(text, "shop");
    });
  });
});
