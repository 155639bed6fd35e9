import { createHmac, createPublicKey, generateKeyPairSync } from "node:crypto";
import fc from "fast-check";
import { base64url, type JWK, jwtVerify } from "jose";
import { beforeAll, describe, expect, it } from "vitest";
import { AttributeError } from "../../src/identify/attribute-error.ts";
import {
  type JwtAlgorithm,
  jwtAlgorithms,
  readKeySet,
  secretKey,
  type VerifyingKey,
} from "../../src/identify/jwt-keys.ts";
import { type JwtSpec, JwtVerifier, type PublishedKeys } from "../../src/identify/jwt-verifier.ts";
import { forged, keySet, type Signer, secretToken, signer } from "../kit/tokens.ts";

const nowMs = Date.UTC(2026, 5, 1);
const now = nowMs / 1_000;
const secret = Buffer.alloc(32, "s");
const claims = { sub: "ada", iss: "https://id.example", aud: ["shop", "blog"], exp: now + 60, nbf: now - 60 };

const spec: JwtSpec = {
  keys: [],
  urls: [],
  issuers: ["https://id.example"],
  audiences: ["shop"],
  algorithms: new Set(jwtAlgorithms),
  clockSkewMs: 10_000,
  from: { kind: "header", name: "authorization" },
  claims: [["sub"]],
};

let rsa: Signer;
let ec: Signer;
beforeAll(async () => {
  [rsa, ec] = await Promise.all([signer("RS256", "rsa"), signer("ES256", "ec")]);
});

function keysOf(...jwks: readonly JWK[]): readonly VerifyingKey[] {
  const set = readKeySet(keySet(...jwks), "counted");
  if ("problem" in set) throw new Error(set.problem);
  return set.keys;
}

/** The subject of a token that counts, or why it does not. */
function judged(token: string, more: Partial<JwtSpec> = {}, atMs = nowMs): unknown {
  const verifier = new JwtVerifier({ ...spec, keys: keysOf(rsa.jwk, ec.jwk), ...more }, []);
  const first = outcome(verifier, token, atMs);
  // What is remembered says the same.
  expect(outcome(verifier, token, atMs)).toEqual(first);
  return first;
}

function outcome(verifier: JwtVerifier, token: string, atMs = nowMs): unknown {
  const read = verifier.verify(token, atMs);
  return read instanceof AttributeError ? read.cause : read.claims[0];
}

describe("a token counts", () => {
  it.each(["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"])(
    "that %s signed",
    async (alg) => {
      const own = await signer(alg);
      const { alg: _alg, ...bare } = own.jwk;
      expect(judged(await own.token(claims), { keys: keysOf(own.jwk) })).toBe("ada");
      expect(judged(await own.token(claims), { keys: keysOf(bare) })).toBe("ada");
      expect(judged(await own.token({ ...claims, sub: "eve" }), { keys: keysOf(rsa.jwk) })).toBe("jwt-key");
    },
  );

  it.each(["HS256", "HS384", "HS512"])("that a shared secret signed by %s, the older one too", async (alg) => {
    const keys = [secretKey(Buffer.alloc(32, "n")), secretKey(secret)];
    expect(judged(await secretToken(secret, claims, alg), { keys })).toBe("ada");
    expect(judged(await secretToken(Buffer.alloc(32, "x"), claims, alg), { keys })).toBe("jwt-signature");
  });

  it("that calls no key by name, by whichever of them made it", async () => {
    const token = await ec.token(claims, { kid: undefined });
    expect(judged(token)).toBe("ada");
  });

  it("without any time in it", async () => {
    expect(judged(await rsa.token({ ...claims, exp: undefined, nbf: undefined }))).toBe("ada");
  });
});

describe("the times of a token", () => {
  const times: readonly [sentence: string, atSeconds: number, wanted: string][] = [
    ["as long as it lives", now + 59.9, "ada"],
    ["within the clock's skew after", now + 69.9, "ada"],
    ["and no longer", now + 70, "jwt-expired"],
    ["within the skew before", now - 70, "ada"],
    ["and no sooner", now - 70.1, "jwt-not-yet-valid"],
  ];
  it.each(times)("it counts %s", async (_sentence, atSeconds, wanted) => {
    expect(judged(await rsa.token(claims), {}, atSeconds * 1_000)).toBe(wanted);
  });

  it("are looked at again when it is remembered", async () => {
    const verifier = new JwtVerifier({ ...spec, keys: keysOf(rsa.jwk) }, []);
    const token = await rsa.token(claims);
    expect(outcome(verifier, token)).toBe("ada");
    expect(outcome(verifier, token, nowMs + 80_000)).toBe("jwt-expired");
    expect(outcome(verifier, token, nowMs)).toBe("ada");
  });
});

describe("attacks", () => {
  const publicText = () =>
    createPublicKey({ key: { ...rsa.jwk }, format: "jwk" }).export({ type: "spki", format: "pem" });
  const hmacOf = (header: object, key: Buffer | string) => {
    const message = forged(header, claims, "").slice(0, -1);
    return `${message}.${createHmac("sha256", key).update(message).digest("base64url")}`;
  };
  const attacks: readonly [name: string, token: () => Promise<string> | string, wanted: string][] = [
    ["alg none (RFC 8725 §2.1)", () => forged({ alg: "none" }, claims, ""), "jwt-malformed"],
    ["alg none with a signature", () => forged({ alg: "none" }, claims), "jwt-algorithm"],
    ["alg None in other letter case", () => forged({ alg: "nOnE" }, claims), "jwt-algorithm"],
    ["no alg", () => forged({ kid: "rsa" }, claims), "jwt-algorithm"],
    ["an alg that is a name of Object's", () => forged({ alg: "constructor" }, claims), "jwt-algorithm"],
    [
      "algorithm confusion: HS256 by the public key as PEM (CVE-2015-9235)",
      () => hmacOf({ alg: "HS256", kid: "rsa" }, String(publicText())),
      "jwt-key",
    ],
    [
      "algorithm confusion: HS256 by the public key's modulus",
      () => hmacOf({ alg: "HS256" }, Buffer.from(rsa.jwk.n ?? "", "base64url")),
      "jwt-key",
    ],
    ["key confusion: an EC signature under the name of the RSA key", () => ec.token(claims, { kid: "rsa" }), "jwt-key"],
    [
      "another algorithm than the key is made for: PS256 by an RS256 key",
      async () => `${(await rsa.token(claims, {})).replace(/^[^.]+/, base64url.encode('{"alg":"PS256","kid":"rsa"}'))}`,
      "jwt-key",
    ],
    ["a kid that nobody has", () => rsa.token(claims, { kid: "nobody" }), "jwt-key"],
    ["a kid that leads out of a folder", () => rsa.token(claims, { kid: "../../dev/null" }), "jwt-key"],
    ["a kid that is an object", () => forged({ alg: "RS256", kid: { a: 1 } }, claims), "jwt-malformed"],
    [
      "a key of its own in the header: jwk (CVE-2018-0114)",
      async () => {
        const own = await signer("RS256", "rsa");
        return own.token(claims, { jwk: own.jwk });
      },
      "jwt-signature",
    ],
    [
      "a key of its own behind jku and x5u",
      async () =>
        (await signer("RS256", "rsa")).token(claims, { jku: "http://127.0.0.1:1/", x5u: "http://127.0.0.1:1/" }),
      "jwt-signature",
    ],
    [
      "an extension that must be understood: crit (RFC 7515 §4.1.11)",
      () => forged({ alg: "RS256", kid: "rsa", crit: ["b64"], b64: false }, claims),
      "jwt-malformed",
    ],
    [
      "a psychic signature of zeros (CVE-2022-21449)",
      () => forged({ alg: "ES256", kid: "ec" }, claims, Buffer.alloc(64)),
      "jwt-signature",
    ],
    [
      "an EC signature in DER",
      () => forged({ alg: "ES256", kid: "ec" }, claims, Buffer.from("3006020101020101", "hex")),
      "jwt-signature",
    ],
    ["an empty signature", async () => (await rsa.token(claims)).replace(/[^.]+$/, ""), "jwt-malformed"],
    ["a signature cut short", async () => (await rsa.token(claims)).slice(0, -2), "jwt-signature"],
    [
      "claims exchanged under a good signature",
      async () =>
        (await rsa.token(claims)).replace(
          /\.[^.]+\./,
          `.${base64url.encode(JSON.stringify({ ...claims, sub: "eve" }))}.`,
        ),
      "jwt-signature",
    ],
    ["padding", async () => `${await rsa.token(claims)}=`, "jwt-malformed"],
    ["the other alphabet of base64", () => forged({ alg: "RS256", kid: "rsa" }, claims, "+/+/"), "jwt-malformed"],
    ["four parts", async () => `${await rsa.token(claims)}.AAAA`, "jwt-malformed"],
    ["an encrypted token (five parts)", () => "AAAA.AAAA.AAAA.AAAA.AAAA", "jwt-malformed"],
    ["JSON in place of the compact form", () => '{"payload":"AAAA"}', "jwt-malformed"],
    ["a header that is a list", () => forged(["RS256"], claims), "jwt-malformed"],
    ["a header that is no JSON", () => forged("{", claims), "jwt-malformed"],
    ["claims that are a list", () => forged({ alg: "RS256", kid: "rsa" }, [claims]), "jwt-malformed"],
    [
      "claims that are no UTF-8",
      () => `${forged({ alg: "RS256", kid: "rsa" }, {}).split(".")[0]}._____w.AAAA`,
      "jwt-malformed",
    ],
    ["a token of megabytes", () => "A".repeat(4 * 1024 * 1024), "jwt-oversized"],
    ["a token of dots", () => ".".repeat(8_000), "jwt-malformed"],
    ["no token at all", () => "", "jwt-malformed"],
    ["another issuer", () => rsa.token({ ...claims, iss: "https://evil.example" }), "jwt-issuer"],
    ["no issuer", () => rsa.token({ ...claims, iss: undefined }), "jwt-issuer"],
    ["another audience", () => rsa.token({ ...claims, aud: "other" }), "jwt-audience"],
    ["no audience", () => rsa.token({ ...claims, aud: undefined }), "jwt-audience"],
    [
      "an expiry that is a text",
      () => forged({ alg: "RS256", kid: "rsa" }, { ...claims, exp: "9999999999" }),
      "jwt-malformed",
    ],
    [
      "an expiry without end",
      () => forged({ alg: "RS256", kid: "rsa" }, JSON.stringify(claims).replace(/"exp":\d+/, '"exp":null')),
      "jwt-malformed",
    ],
  ];
  it.each(attacks)("%s: no attribute", async (_name, token, wanted) => {
    expect(judged(await token())).toBe(wanted);
  });

  it("an algorithm that the configuration leaves out", async () => {
    const algorithms = new Set<JwtAlgorithm>(["ES256"]);
    expect(judged(await rsa.token(claims), { algorithms })).toBe("jwt-algorithm");
    expect(judged(await ec.token(claims), { algorithms })).toBe("ada");
  });

  it("no more than eight keys are tried for a token that names none", async () => {
    const { kid, ...bare } = ec.jwk;
    const token = await ec.token(claims, { kid: undefined });
    const others = await Promise.all(Array.from({ length: 8 }, async () => (await signer("ES256")).jwk));
    const nameless = others.map(({ kid: _, ...jwk }) => jwk);
    expect(judged(token, { keys: keysOf(...nameless.slice(1), bare) })).toBe("ada");
    expect(judged(token, { keys: keysOf(...nameless, bare) })).toBe("jwt-signature");
  });

  it("forged tokens push no honest one out", { tags: ["slow"] }, async () => {
    const verifier = new JwtVerifier({ ...spec, keys: [secretKey(secret)] }, []);
    const honest = await secretToken(secret, claims);
    const first = verifier.verify(honest, nowMs);
    for (let i = 0; i < 20_000; i++) {
      expect(outcome(verifier, forged({ alg: "HS256" }, { ...claims, i }))).toBe("jwt-signature");
    }
    expect(verifier.verify(honest, nowMs)).toBe(first);
  });

  it("never throws, and counts nothing that jose refuses", async () => {
    const token = await secretToken(secret, claims);
    const verifier = new JwtVerifier({ ...spec, keys: [secretKey(secret)] }, []);
    const edit = fc.record({ at: fc.nat(token.length), cut: fc.nat(8), put: fc.string({ maxLength: 8 }) });
    await fc.assert(
      fc.asyncProperty(fc.array(edit, { maxLength: 3 }), async (edits) => {
        const text = edits.reduce((old, { at, cut, put }) => old.slice(0, at) + put + old.slice(at + cut), token);
        const counts = !(verifier.verify(text, nowMs) instanceof AttributeError);
        const options = { issuer: "https://id.example", audience: "shop", currentDate: new Date(nowMs) };
        const theirs = await jwtVerify(text, secret, options).then(
          () => true,
          () => false,
        );
        expect(counts && !theirs).toBe(false);
        if (text === token) expect(counts).toBe(true);
      }),
    );
  });
});

describe("a claim's text", () => {
  const read = async (payload: string, ...path: string[]) => {
    const message = forged({ alg: "HS256" }, payload, "").slice(0, -1);
    const token = `${message}.${createHmac("sha256", secret).update(message).digest("base64url")}`;
    const open = { ...spec, issuers: [], audiences: [], keys: [secretKey(secret)], claims: [path] };
    return outcome(new JwtVerifier(open, []), token);
  };
  const cases: readonly [sentence: string, payload: string, path: string[], wanted: unknown][] = [
    ["a text", '{"a":"x"}', ["a"], "x"],
    ["a number", '{"a":1735689600}', ["a"], "1735689600"],
    ["a number beyond a double, as written", '{"a":9007199254740993}', ["a"], "9007199254740993"],
    ["a number with a nought behind, as written", '{"a":1.10}', ["a"], "1.10"],
    ["a boolean", '{"a":false}', ["a"], "false"],
    ["nothing", '{"a":null}', ["a"], undefined],
    ["a name that is not there", '{"a":1}', ["b"], undefined],
    ["a name with dots", '{"https://x.example/region":"eu"}', ["https://x.example/region"], "eu"],
    ["one inside others", '{"a":{"b":{"c":"x"}}}', ["a", "b", "c"], "x"],
    ["one inside a text", '{"a":"x"}', ["a", "length"], undefined],
    ["one inside a list", '{"a":["x"]}', ["a", "0"], undefined],
    ["a name of Object's", "{}", ["constructor", "name"], undefined],
    ["a prototype that the token brings", '{"__proto__":{"a":"x"}}', ["a"], undefined],
    ["the last of two, as everybody reads them", '{"a":"x","a":"y"}', ["a"], "y"],
  ];
  it.each(cases)("is that of %s", async (_sentence, payload, path, wanted) => {
    expect(await read(payload, ...path)).toBe(wanted);
  });

  it.each(['{"a":["x"]}', '{"a":{}}'])("cannot be a list or an object: %s", async (payload) => {
    const open = { ...spec, issuers: [], audiences: [], keys: [secretKey(secret)], claims: [["a"]] };
    const token = await secretToken(secret, JSON.parse(payload));
    const read = new JwtVerifier(open, []).verify(token, nowMs);
    expect(read instanceof AttributeError ? read : read.claims[0]).toEqual(new AttributeError("unparsable"));
  });
});

describe("published keys", () => {
  it("that change void what was judged by the old ones, and a missing one is asked for", async () => {
    const published = { keys: keysOf(rsa.jwk), generation: 1, misses: 0, missed: () => void published.misses++ };
    const verifier = new JwtVerifier(spec, [published satisfies PublishedKeys]);
    const [old, fresh] = [await rsa.token(claims), await ec.token(claims)];
    expect([outcome(verifier, old), outcome(verifier, fresh), published.misses]).toEqual(["ada", "jwt-key", 1]);
    Object.assign(published, { keys: keysOf(ec.jwk), generation: 2 });
    expect([outcome(verifier, old), outcome(verifier, fresh), published.misses]).toEqual(["jwt-key", "ada", 2]);
  });
});

it("a forged signature is checked anew once the keys change", async () => {
  const other = generateKeyPairSync("ed25519").publicKey.export({ format: "jwk" });
  const own = await signer("EdDSA", "same");
  const published = { keys: keysOf({ ...other, kty: "OKP", kid: "same" }), generation: 1, missed: () => {} };
  const verifier = new JwtVerifier(spec, [published]);
  const token = await own.token(claims);
  expect(outcome(verifier, token)).toBe("jwt-signature");
  Object.assign(published, { keys: keysOf(own.jwk), generation: 2 });
  expect(outcome(verifier, token)).toBe("ada");
});
