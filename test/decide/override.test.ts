import { describe, expect, it } from "vitest";
import type { Trail } from "../../src/decide/decision.ts";
import { parseAddress, parseAddressRange } from "../../src/decide/ip-address.ts";
import { createOverrideToken, Overrides } from "../../src/decide/override.ts";
import { sign } from "../../src/decide/pin.ts";
import type { OverrideSpec } from "../../src/decide/release-spec.ts";
import { nowMs } from "./shop-release.ts";

const secret = Buffer.from("a secret of thirty-two bytes ...");
const otherSecret = Buffer.from("another secret of thirty-two ...");
const office = parseAddressRange("10.0.0.0/8");
const inside = parseAddress("10.1.2.3");
const outside = parseAddress("192.0.2.1");
const token = createOverrideToken(secret, "shop", "canary", nowMs + 3_600_000);

const disabled: OverrideSpec = {
  header: "x-perch-version",
  cookie: undefined,
  query: undefined,
  allowFrom: [],
  secrets: [],
};
const fromOffice: OverrideSpec = { ...disabled, allowFrom: office === undefined ? [] : [office] };
const byToken: OverrideSpec = { ...disabled, secrets: [secret] };

function resolve(spec: OverrideSpec, value: string, client = outside, atMs = nowMs, trail?: Trail): string | undefined {
  return new Overrides("shop", spec, ["stable", "canary"]).resolve(value, client, atMs, trail);
}

describe("an override by name", () => {
  it("is accepted from an allowed address", () => {
    expect(resolve(fromOffice, "canary", inside)).toBe("canary");
  });

  const refused: [sentence: string, spec: OverrideSpec, value: string, client: typeof inside, why: string][] = [
    ["from elsewhere", fromOffice, "canary", outside, "192.0.2.1 is not in allowFrom"],
    ["if allowFrom is empty", disabled, "canary", inside, "10.1.2.3 is not in allowFrom"],
    ["if only a secret is configured", byToken, "canary", inside, "10.1.2.3 is not in allowFrom"],
    [
      "for a version that the release lacks",
      fromOffice,
      "v9",
      inside,
      "the value is neither a version of this release nor a token",
    ],
    ["if it is empty", fromOffice, "", inside, "the value is neither a version of this release nor a token"],
    [
      "if it is a property name of Object",
      fromOffice,
      "constructor",
      inside,
      "the value is neither a version of this release nor a token",
    ],
    [
      "if it is megabytes long",
      byToken,
      "1.".repeat(1_000_000),
      outside,
      "the value is neither a version of this release nor a token",
    ],
  ];
  it.each(refused)("is ignored %s, with the reason", (_, spec, value, client, why) => {
    const trail: Trail = [];
    expect(resolve(spec, value, client, nowMs, trail)).toBeUndefined();
    expect(trail).toEqual([{ stage: "override", outcome: "ignored", detail: why }]);
  });

  it("is ignored if the client address is unknown, as over a unix socket and in an explanation", () => {
    const trail: Trail = [];
    expect(new Overrides("shop", fromOffice, ["canary"]).resolve("canary", undefined, nowMs, trail)).toBeUndefined();
    expect(trail[0]?.detail).toBe("an unknown address is not in allowFrom");
  });
});

describe("an override by token", () => {
  it("is accepted from any address until it expires", () => {
    expect(resolve(byToken, token)).toBe("canary");
    expect(resolve(byToken, token, outside, nowMs + 3_599_999)).toBe("canary");
    expect(resolve(byToken, token, outside, nowMs + 3_600_000)).toBeUndefined();
  });

  it("is accepted if it verifies with any of the secrets", () => {
    expect(resolve({ ...byToken, secrets: [otherSecret, secret] }, token)).toBe("canary");
  });

  const pinLike = `1.9999999999.canary.${sign(secret, "shop.1.9999999999.canary")}`;
  const refused: [sentence: string, value: string, spec?: OverrideSpec][] = [
    ["signed with another secret", createOverrideToken(otherSecret, "shop", "canary", nowMs + 1000)],
    ["for another release", createOverrideToken(secret, "mail", "canary", nowMs + 1000)],
    ["for a version that the release lacks", createOverrideToken(secret, "shop", "v9", nowMs + 1000)],
    ["whose version was changed", token.replace("canary", "stable")],
    ["whose expiry was changed", token.replace("1.", "1.9")],
    ["without a configured secret", token, fromOffice],
    ["signed like a pin", pinLike],
    ["that is truncated", token.slice(0, -1)],
  ];
  it.each(refused)("is ignored: a token %s", (_, value, spec = byToken) => {
    expect(resolve(spec, value)).toBeUndefined();
  });
});
