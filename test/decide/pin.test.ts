import { createHmac } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { PinCookie, type PinRejection } from "../../src/decide/pin.ts";
import type { Pin } from "../../src/decide/pin-content.ts";
import type { CookieSpec } from "../../src/decide/release-spec.ts";
import { cookie, nowMs, nowSeconds, pinOf } from "./shop-release.ts";

const dayMs = 86_400_000;
const oldSecret = Buffer.from("an older secret of thirty-two ..");
const newSecret = Buffer.from("a newer secret of thirty-two ...");

function signedValue(pin: Pin, spec: CookieSpec = cookie, release = "shop"): string {
  const [pair = ""] = new PinCookie(release, spec).write(pin, false).split(";");
  return pair.slice(pair.indexOf("=") + 1);
}

/** Reads with a new PinCookie by default, and collects the rejections. */
function read(
  values: string[],
  atMs = nowMs,
  of = new PinCookie("shop", cookie),
): { pin: Pin | undefined; causes: PinRejection[] } {
  const causes: PinRejection[] = [];
  return { pin: of.read(values, atMs, (cause) => causes.push(cause)), causes };
}

const someUnit = { source: "random", hi: 0x04030201, lo: -1 } as const;
const fixed: Pin = {
  epoch: 3,
  issuedAtSeconds: 1780272000,
  version: "canary",
  how: "rule",
  rule: "in-the-east",
  unit: someUnit,
};
const fixedText = "1.3.1780272000.canary.r-in-the-east.rAQIDBP____8";

describe("the Set-Cookie value", () => {
  it("signs the release's name and the pin with HMAC-SHA256, truncated to 128 bits, in base64url", () => {
    const [secret = oldSecret] = cookie.secrets;
    const whole = createHmac("sha256", secret).update(`shop.${fixedText}`).digest();
    const signature = whole.subarray(0, 16).toString("base64url");
    expect(signedValue(fixed)).toBe(`${fixedText}.${signature}`);
  });

  const lifetime = "; Max-Age=2592000";
  const rows: [sentence: string, spec: Partial<CookieSpec>, secure: boolean, attributes: string][] = [
    ["over http", {}, false, "; Max-Age=2592000; Path=/; HttpOnly; SameSite=Lax"],
    ["over https", {}, true, "; Max-Age=2592000; Path=/; Secure; HttpOnly; SameSite=Lax"],
    ["always secure", { secure: "always" }, false, "; Max-Age=2592000; Path=/; Secure; HttpOnly; SameSite=Lax"],
    ["never secure", { secure: "never" }, true, "; Max-Age=2592000; Path=/; HttpOnly; SameSite=Lax"],
    ["strict", { sameSite: "strict" }, false, "; Max-Age=2592000; Path=/; HttpOnly; SameSite=Strict"],
    ["none", { sameSite: "none" }, true, "; Max-Age=2592000; Path=/; Secure; HttpOnly; SameSite=None"],
    [
      "with a domain and a path",
      { domain: "example.com", path: "/shop", maxAgeMs: 90_500 },
      true,
      "; Max-Age=90; Path=/shop; Domain=example.com; Secure; HttpOnly; SameSite=Lax",
    ],
    [
      "none over http, which browsers would drop",
      { sameSite: "none" },
      false,
      `${lifetime}; Path=/; HttpOnly; SameSite=Lax`,
    ],
    [
      "none, always secure",
      { sameSite: "none", secure: "always" },
      false,
      `${lifetime}; Path=/; Secure; HttpOnly; SameSite=None`,
    ],
    [
      "partitioned",
      { sameSite: "none", partitioned: true },
      true,
      `${lifetime}; Path=/; Secure; HttpOnly; SameSite=None; Partitioned`,
    ],
    [
      "partitioned over http, which browsers would drop",
      { sameSite: "none", partitioned: true },
      false,
      `${lifetime}; Path=/; HttpOnly; SameSite=Lax`,
    ],
    [
      "partitioned, always secure",
      { secure: "always", partitioned: true },
      false,
      `${lifetime}; Path=/; Secure; HttpOnly; SameSite=Lax; Partitioned`,
    ],
    ["until the browser's session ends", { maxAgeMs: "session" }, true, "; Path=/; Secure; HttpOnly; SameSite=Lax"],
  ];
  it.each(rows)("has these exact attributes: %s", (_, spec, secure, attributes) => {
    const changed = { ...cookie, ...spec };
    expect(new PinCookie("shop", changed).write(fixed, secure)).toBe(
      `perch-shop=${signedValue(fixed, changed)}${attributes}`,
    );
  });

  it("throws without a secret", () => {
    expect(() => new PinCookie("shop", { ...cookie, secrets: [] }).write(fixed, true)).toThrow(RangeError);
  });
});

describe("reading a pin", () => {
  const name = fc.stringMatching(/^[a-z0-9-]{1,63}$/);
  const unit = fc.record({
    source: fc.constantFrom("attribute" as const, "random" as const),
    hi: fc.integer(),
    lo: fc.integer(),
  });
  const how = fc.oneof(
    fc.constantFrom({ how: "split" as const, rule: undefined }, { how: "default" as const, rule: undefined }),
    name.map((rule) => ({ how: "rule" as const, rule })),
  );
  const anyPin = fc
    .tuple(
      fc.nat({ max: 2 ** 31 - 1 }),
      fc.integer({ min: nowSeconds - 29 * 86_400, max: nowSeconds }),
      name,
      how,
      unit,
    )
    .map(([epoch, issuedAtSeconds, version, by, of]): Pin => ({ epoch, issuedAtSeconds, version, ...by, unit: of }));

  it("returns the written pin twice: by its signature, then from the cache", () => {
    fc.assert(
      fc.property(anyPin, (pin) => {
        const reader = new PinCookie("shop", cookie);
        const value = signedValue(pin);
        expect(value.length).toBeLessThanOrEqual(256);
        expect(read([value], nowMs, reader)).toEqual({ pin, causes: [] });
        expect(read([value], nowMs, reader)).toEqual({ pin, causes: [] });
      }),
      { numRuns: 300 },
    );
  });

  it("rejects a pin with any one character changed", () => {
    const value = signedValue(fixed);
    for (let at = 0; at < value.length; at++) {
      for (const other of "0aA.-") {
        const forged = value.slice(0, at) + other + value.slice(at + 1);
        if (forged !== value) expect(read([forged], fixed.issuedAtSeconds * 1000).pin, forged).toBeUndefined();
      }
    }
  });

  const good = signedValue(pinOf());
  const forged = signedValue(pinOf(), { ...cookie, secrets: [oldSecret] });
  const cases: [sentence: string, values: string[], causes: PinRejection[], found: boolean][] = [
    ["no cookie", [], [], false],
    ["a valid pin", [good], [], true],
    ["a pin signed with another secret", [forged], ["forged"], false],
    ["a pin of another release", [signedValue(pinOf(), cookie, "mail")], ["forged"], false],
    ["a valid pin after invalid ones", ["", forged, good, forged], ["malformed", "forged"], true],
    ["an expired pin, then a valid one", [signedValue(pinOf({ issuedAtSeconds: 1 })), good], ["expired"], true],
    ["an empty value", [""], ["malformed"], false],
    ["an unsigned pin", [fixedText], ["malformed"], false],
    ["a signature too short", [good.slice(0, -1)], ["malformed"], false],
    ["a signature with unused bits set in its last character", [`${good.slice(0, -1)}B`], ["malformed"], false],
    ["quotes around it", [`"${good}"`], ["malformed"], false],
    ["a future format number", [`2${good.slice(1)}`], ["malformed"], false],
    ["an epoch with a leading zero", [good.replace("1.3.", "1.03.")], ["malformed"], false],
    ["upper case in the version", [good.replace("stable", "Stable")], ["malformed"], false],
    ["an unknown value for how", [good.replace(".s.", ".x.")], ["malformed"], false],
    [
      "characters that truncation to Latin-1 would turn into valid ones",
      [good.replace("1.3.", "\u0131.3.")],
      ["malformed"],
      false,
    ],
    ["a value longer than any pin", [good + "x".repeat(200)], ["oversized"], false],
    ["eight kilobytes", ["x".repeat(8192)], ["oversized"], false],
  ];
  it.each(cases)("accepts or rejects, with the cause: %s", (_, values, causes, found) => {
    expect(read(values)).toEqual({ pin: found ? pinOf() : undefined, causes });
  });

  it("never throws, whatever the cookie holds", () => {
    const nearly = fc
      .array(fc.constantFrom(..."1.0s-drA_ÿ\u0100\0 "), { maxLength: 120 })
      .map((parts) => parts.join(""));
    fc.assert(
      fc.property(fc.array(fc.oneof(nearly, fc.string()), { maxLength: 12 }), (values) => {
        expect(read(values).pin).toBeUndefined();
      }),
      { numRuns: 500 },
    );
  });

  it("verifies with every secret and signs with the first, so that a rotation keeps all pins", () => {
    const before = { ...cookie, secrets: [oldSecret] };
    const during = { ...cookie, secrets: [newSecret, oldSecret] };
    const after = { ...cookie, secrets: [newSecret] };
    const signedBefore = signedValue(pinOf(), before);
    expect(read([signedBefore], nowMs, new PinCookie("shop", during)).pin).toEqual(pinOf());
    expect(read([signedBefore], nowMs, new PinCookie("shop", after)).causes).toEqual(["forged"]);
    expect(signedValue(pinOf(), during)).toBe(signedValue(pinOf(), after));
  });

  it("computes at most eight signatures per request", () => {
    const forgeries = Array.from({ length: 20 }, (_, at) =>
      signedValue(pinOf({ epoch: at }), { ...cookie, secrets: [oldSecret] }),
    );
    expect(read([...forgeries.slice(0, 7), good]).pin).toEqual(pinOf());
    expect(read([...forgeries.slice(0, 8), good])).toEqual({ pin: undefined, causes: Array(8).fill("forged") });
    const fourSecrets = { ...cookie, secrets: [newSecret, oldSecret, Buffer.alloc(32, 1), Buffer.alloc(32, 2)] };
    const others = forgeries.map((value) => value.replace("stable", "canary"));
    expect(read(others, nowMs, new PinCookie("shop", fourSecrets)).causes).toEqual(["forged", "forged"]);
  });

  it("finds a cached pin after any number of forgeries", () => {
    const reader = new PinCookie("shop", cookie);
    read([good], nowMs, reader);
    expect(read([...Array<string>(9).fill(forged), good], nowMs, reader).pin).toEqual(pinOf());
  });

  it("rejects a pin after its max age, even if it is cached", () => {
    const reader = new PinCookie("shop", cookie);
    const lastMs = pinOf().issuedAtSeconds * 1000 + 30 * dayMs;
    expect(read([good], nowMs, reader).pin).toEqual(pinOf());
    expect(read([good], lastMs, reader).pin).toEqual(pinOf());
    expect(read([good], lastMs + 1000, reader)).toEqual({ pin: undefined, causes: ["expired"] });
    expect(read([good], lastMs + 1000)).toEqual({ pin: undefined, causes: ["expired"] });
  });

  it("reports an expired forgery as forged: its content proves nothing", () => {
    const value = signedValue(pinOf({ issuedAtSeconds: 1 }), { ...cookie, secrets: [oldSecret] });
    expect(read([value]).causes).toEqual(["forged"]);
  });
});
