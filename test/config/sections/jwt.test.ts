import { generateKeyPairSync } from "node:crypto";
import { describe, expect, test } from "vitest";
import { changed, load, problemsOf, testFiles } from "../valid-config.ts";

const jwk = generateKeyPairSync("ed25519").publicKey.export({ format: "jwk" });
const files: Readonly<Record<string, string>> = {
  ...testFiles,
  "keys.json": JSON.stringify({ keys: [jwk] }),
  "some.json": JSON.stringify({ keys: [jwk, { kty: "XYZ" }] }),
  "none.json": JSON.stringify({ keys: [{ kty: "XYZ" }] }),
  "bad.json": "{",
};
const readFile = (path: string) => {
  const contents = files[path.split("/").at(-1) ?? ""];
  if (contents === undefined) throw Object.assign(new Error("no such file"), { code: "ENOENT" });
  return Buffer.from(contents);
};

/** The valid configuration with a claim for userId, and this `jwt` on its line 13. */
const withJwt = (jwt: string, source = "{ jwt: sub }") =>
  changed("[{ header: X-User-Id }, { cookie: uid }]", `[${source}]`).replace("services:", `jwt: ${jwt}\nservices:`);
const problems = (text: string) => problemsOf(load(text, { readFile }));

const keys = "keys: [{ jwksFile: keys.json }]";

describe("jwt", () => {
  test.each([
    `{ ${keys}, audience: shop }`,
    `{ ${keys}, issuer: [a, b], audience: [a, b], algorithms: [EdDSA], clockSkew: 0s, from: { cookie: session } }`,
    "{ keys: [{ secretFile: pins.secret }] }",
    '{ keys: [{ jwksUrl: "https://id.example.com/jwks.json" }], audience: shop, algorithms: [RS256] }',
    '{ keys: [{ jwksUrl: "http://[::1]:8080/jwks" }, { jwksUrl: "http://localhost/" }], audience: shop }',
  ])("%s is fine", (jwt) => {
    expect(problems(withJwt(jwt))).toEqual([]);
  });

  const cases: readonly (readonly [sentence: string, jwt: string, wanted: readonly string[]])[] = [
    ["no keys", "{}", ['12:6: error: jwt needs the key "keys"']],
    ["an empty list of keys", "{ keys: [] }", ["12:14: error: the list of key sources is empty"]],
    [
      "two sources in one",
      "{ keys: [{ jwksFile: keys.json, secretFile: pins.secret }] }",
      ['12:38: error: "jwksFile" and "secretFile" cannot be used together in a key source'],
    ],
    [
      "keys fetched without TLS",
      '{ keys: [{ jwksUrl: "http://id.example.com/jwks" }], audience: a }',
      ['12:26: error: "http://id.example.com/jwks": keys must be fetched over https, except from this machine'],
    ],
    [
      "keys fetched with a password",
      '{ keys: [{ jwksUrl: "https://me:pw@id.example.com/" }], audience: a }',
      ['12:26: error: "https://…@id.example.com/" contains credentials, which jwksUrl does not support'],
    ],
    [
      "keys at no address",
      "{ keys: [{ jwksUrl: id.example.com }], audience: a }",
      ['12:26: error: "id.example.com" is not a URL such as https://id.example.com/jwks.json'],
    ],
    [
      "a file that is not there",
      "{ keys: [{ jwksFile: gone.json }], audience: a }",
      ["12:27: error: the file <folder>/gone.json cannot be used: no such file"],
    ],
    [
      "a file that is no JSON",
      "{ keys: [{ jwksFile: bad.json }], audience: a }",
      ["12:27: error: the file <folder>/bad.json cannot be used: it is not JSON"],
    ],
    [
      "a file without a key that counts",
      "{ keys: [{ jwksFile: none.json }], audience: a }",
      [
        "12:27: error: the file <folder>/none.json cannot be used: it has no usable key (key 1: it is not a valid public key)",
      ],
    ],
    [
      "a file with one that does not",
      "{ keys: [{ jwksFile: some.json }], audience: a }",
      ["12:27: warning: some keys of <folder>/some.json are not used (key 2: it is not a valid public key)"],
    ],
    [
      "a short secret",
      "{ keys: [{ secretFile: short.secret }] }",
      ["12:29: error: the file <folder>/short.secret cannot be used: line 1 has 9 bytes; a secret needs at least 32"],
    ],
    [
      "the algorithm none",
      `{ ${keys}, audience: a, algorithms: [none] }`,
      [
        '12:67: error: expected HS256, HS384, HS512, RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA or Ed25519, found "none"',
      ],
    ],
    [
      "algorithms that no key is for",
      `{ ${keys}, audience: a, algorithms: [HS256, RS256] }`,
      ["12:66: error: no key supports any of these algorithms"],
    ],
    [
      "no audience",
      `{ ${keys} }`,
      ["12:6: warning: tokens that were issued for other services are accepted, too; set audience"],
    ],
    ["a skew of an hour", `{ ${keys}, audience: a, clockSkew: 1h }`, ["12:65: error: 1h is not between 0ms and 10m"]],
    [
      "a token in a header that frames",
      `{ ${keys}, audience: a, from: { header: Host } }`,
      ['12:70: error: "host" cannot contain a token'],
    ],
  ];
  test.each(cases)("with %s", (_sentence, jwt, wanted) => {
    expect(problems(withJwt(jwt))).toEqual(wanted);
  });

  test("that no attribute reads", () => {
    expect(problems(withJwt(`{ ${keys}, audience: a }`, "{ cookie: uid }"))).toEqual([
      "12:1: warning: no attribute has a jwt source",
    ]);
  });

  test("that is not there, although an attribute reads a claim", () => {
    expect(problems(changed("{ cookie: uid }", "{ jwt: sub }"))).toEqual([
      "6:59: error: a jwt source needs the jwt section, which defines how tokens are verified; add jwt: { keys: [...] } at the top level",
    ]);
  });

  test("and trust do not go together", () => {
    expect(problems(withJwt(`{ ${keys}, audience: a }`, "{ jwt: sub, trust: proxies }"))).toEqual([
      "6:46: error: trust cannot be combined with jwt: claims are trusted because they are verified",
    ]);
  });

  test("cannot have an empty name for a claim", () => {
    expect(problems(withJwt(`{ ${keys}, audience: a }`, "{ jwt: [a, ''] }"))[0]).toContain(
      "expected a claim's name, found an empty string",
    );
  });
});
