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
    ["for encryption", { ...ec.public, use: "enc" }, 'its "use" is not "sig"'],
    ["for signing alone", { ...ec.public, key_ops: ["sign"] }, 'its "key_ops" do not include "verify"'],
    ["that is private", ec.private, "it is a private key; use the public key"],
    ["of a kind that is not known", { kty: "XYZ" }, "it is not a valid public key"],
    ["without a kind", {}, "it is not a valid public key"],
    [
      "on a curve that no algorithm takes",
      jwkOf("ec", { namedCurve: "secp256k1" }).public,
      "its curve secp256k1 is not supported",
    ],
    [
      "of 1024 bits",
      jwkOf("rsa", { modulusLength: 1_024 }).public,
      "its modulus has 1024 bits; 2048 to 8192 are supported",
    ],
    ["off its curve", { ...ec.public, x: ec.public.y }, "it is not a valid public key"],
    ["whose alg is of another kind", { ...ec.public, alg: "RS256" }, 'its "alg" does not match the key'],
    ["whose alg turns it into a secret", { ...ec.public, alg: "HS256" }, 'its "alg" does not match the key'],
    ["whose alg is none", { ...ec.public, alg: "none" }, 'its "alg" does not match the key'],
    ["whose name is no text", { ...ec.public, kid: 7 }, 'its "kid" is not a string'],
    ["that is a short secret", { kty: "oct", k: "AAAA" }, "its secret is shorter than 32 bytes"],
    ["that is null", null, "it is not an object"],
  ];
  it.each(refused)("passes over one %s, and says so", (_sentence, key, why) => {
    expect(unused(key, ec.public)).toEqual([`key 1: ${why}`]);
  });

  it("takes a shared secret only where the set itself is one", () => {
    expect(unused(secret)).toEqual([]);
    expect(readKeySet(JSON.stringify({ keys: [secret] }), "refused")).toEqual({
      keys: [],
      unused: ["key 1: it is a shared secret, which must not be published"],
    });
  });

  it("of more than a hundred keys is cut", () => {
    const set = readKeySet(JSON.stringify({ keys: new Array(101).fill(ec.public) }), "refused");
    expect("keys" in set && [set.keys.length, set.unused]).toEqual([100, ["all keys after the first 100"]]);
  });

  it.each([
    ["", "it is not JSON"],
    ["<html>", "it is not JSON"],
    ["null", 'it is not a JSON Web Key Set: { "keys": [ … ] }'],
    ["[]", 'it is not a JSON Web Key Set: { "keys": [ … ] }'],
    ['{"keys":{}}', 'it is not a JSON Web Key Set: { "keys": [ … ] }'],
  ])("cannot be %j", (text, problem) => {
    expect(readKeySet(text, "refused")).toEqual({ problem });
  });
});
