import { describe, expect, it } from "vitest";
import { baggageMember, baggageVersion, mergeBaggage } from "../../src/http/baggage.ts";
import { expectLinearTime, nothingBut } from "../kit/linear-time.ts";

const keepsNone = () => false;
const keepsOther = (release: string) => release === "other";
const members = (count: number) => Array.from({ length: count }, (_, at) => `k${at}=v`).join(",");

describe("mergeBaggage", () => {
  it.each([
    { does: "passes others' members, byte for byte", sent: "b=2 ; p=q,a=%31,,\t c", wanted: "b=2 ; p=q,a=%31,,\t c" },
    { does: "removes a member of Perch", sent: "a=1, perch.shop=canary;x=y, b=2", wanted: "a=1, b=2" },
    { does: "removes the first member", sent: "perch.shop=canary, b=2", wanted: "b=2" },
    { does: "removes several members", sent: "perch.a=1,perch.b=2 , c=3,perch.d", wanted: "c=3" },
    { does: "leaves nothing if all are Perch's", sent: "perch.shop=canary", wanted: undefined },
    { does: "removes a member with an encoded key", sent: "%70erch.shop=canary,a=1", wanted: "a=1" },
    { does: "removes a member after bytes that some readers trim", sent: "a=1,\xa0perch.shop=canary", wanted: "a=1" },
    { does: "removes a member in quotes", sent: 'a="1,perch.shop=canary"', wanted: 'a="1' },
    {
      does: "passes keys that only resemble Perch's",
      sent: "Perch.a=1,perch=2,xperch.a=3",
      wanted: "Perch.a=1,perch=2,xperch.a=3",
    },
    {
      does: "passes values and properties that resemble Perch's",
      sent: "a=perch.shop;perch.b=c",
      wanted: "a=perch.shop;perch.b=c",
    },
  ])("$does", ({ sent, wanted }) => {
    expect(mergeBaggage(sent, keepsNone, undefined)).toBe(wanted);
  });

  it.each([
    { does: "writes its own member alone", sent: undefined, wanted: "perch.shop=canary" },
    { does: "writes its own member alone for an empty list", sent: " ,\t,", wanted: "perch.shop=canary" },
    {
      does: "appends its own member to the others, unchanged",
      sent: "b=2 , a=1",
      wanted: "b=2 , a=1,perch.shop=canary",
    },
    { does: "replaces the received member", sent: "perch.shop=v2,a=1", wanted: "a=1,perch.shop=canary" },
    {
      does: "keeps another release's member",
      sent: "perch.other=v2,a=1",
      wanted: "perch.other=v2,a=1,perch.shop=canary",
    },
    { does: "drops empty members at the end", sent: "a=1, ,", wanted: "a=1,perch.shop=canary" },
    { does: "appends a 64th member", sent: members(63), wanted: `${members(63)},perch.shop=canary` },
    { does: "appends no 65th member", sent: members(64), wanted: members(64) },
    {
      does: "appends up to 8192 bytes",
      sent: `a=${"x".repeat(8172)}`,
      wanted: `a=${"x".repeat(8172)},perch.shop=canary`,
    },
    { does: "appends nothing over 8192 bytes", sent: `a=${"x".repeat(8173)}`, wanted: `a=${"x".repeat(8173)}` },
    { does: "passes malformed members", sent: 'no value, "x', wanted: 'no value, "x,perch.shop=canary' },
  ])("$does, merging", ({ sent, wanted }) => {
    expect(mergeBaggage(sent, keepsOther, baggageMember("shop", "canary"))).toBe(wanted);
  });
});

describe("baggageVersion", () => {
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
