import { generateKeyPairSync, type webcrypto } from "node:crypto";
import { describe, expect, it } from "vitest";
import { readKeySet } from "../../src/identify/jwt-keys.ts";

type Jwk = webcrypto.JsonWebKey;

const jwkOf = (type: "rsa" | "ec" | "ed25519", options: object): { public: Jwk; private: Jwk } => {
  const { publicKey, privateKey } = generateKeyPairSync(type as "rsa", options as { modulusLength: number });
  return { public: publicKey.export({ format: "jwk" }), private: privateKey.export({ format: "jwk" }) };
};
const ec = jwkOf("ec", { namedCurve: "P-256" });
const secret: Jwk = { kty: "oct", k: Buffer.alloc(32).toString("base64url") };

function unused(...keys: readonly unknown[]): readonly string[] {
  const set = readKeySet(JSON.stringify({ keys }), "counted");
  if ("problem" in set) throw new Error(set.problem);
  expect(set.keys.length + set.unused.length).toBe(keys.length);
  return set.unused;
}

describe("a set of keys", () => {
  const refused: readonly [sentence: string, key: unknown, why: string][] = [
    ["for encryption", { ...ec.public, use: "enc" }, "it is not for signatures"],
    ["for signing alone", { ...ec.public, key_ops: ["sign"] }, "it is not for verifying"],
    ["that is private", ec.private, "it is a private key, which belongs to whoever signs"],
    ["of a kind that is not known", { kty: "XYZ" }, "it can not be read"],
    ["without a kind", {}, "it can not be read"],
    ["on a curve that no algorithm takes", jwkOf("ec", { namedCurve: "secp256k1" }).public, "its curve is not taken"],
    ["of 1024 bits", jwkOf("rsa", { modulusLength: 1_024 }).public, "it has 1024 bits; 2048 to 8192 are taken"],
    ["off its curve", { ...ec.public, x: ec.public.y }, "it can not be read"],
    ["whose alg is of another kind", { ...ec.public, alg: "RS256" }, "its alg does not fit it"],
    ["whose alg turns it into a secret", { ...ec.public, alg: "HS256" }, "its alg does not fit it"],
    ["whose alg is none", { ...ec.public, alg: "none" }, "its alg does not fit it"],
    ["whose name is no text", { ...ec.public, kid: 7 }, "its kid is no text"],
    ["that is a short secret", { kty: "oct", k: "AAAA" }, "it has less than 32 bytes"],
    ["that is null", null, "it is no object"],
  ];
  it.each(refused)("passes over one %s, and says so", (_sentence, key, why) => {
    expect(unused(key, ec.public)).toEqual([`key 1: ${why}`]);
  });

  it("takes a shared secret only where the set itself is one", () => {
    expect(unused(secret)).toEqual([]);
    expect(readKeySet(JSON.stringify({ keys: [secret] }), "refused")).toEqual({
      keys: [],
      unused: ["key 1: it is a shared secret, which no one may publish"],
    });
  });

  it("of more than a hundred keys is cut", () => {
    const set = readKeySet(JSON.stringify({ keys: new Array(101).fill(ec.public) }), "refused");
    expect("keys" in set && [set.keys.length, set.unused]).toEqual([100, ["the keys after the first 100"]]);
  });

  it.each([
    ["", "it is not JSON"],
    ["<html>", "it is not JSON"],
    ["null", 'it is no set of keys: { "keys": [ … ] }'],
    ["[]", 'it is no set of keys: { "keys": [ … ] }'],
    ['{"keys":{}}', 'it is no set of keys: { "keys": [ … ] }'],
  ])("can not be %j", (text, problem) => {
    expect(readKeySet(text, "refused")).toEqual({ problem });
  });
});
