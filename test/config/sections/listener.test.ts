import { createPrivateKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { describe, expect, test } from "vitest";
import { certFile, keyPem } from "../../kit/pki.ts";
import { changed, compiled, load, problemsOf, testFiles } from "../valid-config.ts";

const pki = new URL("../../kit/pki/", import.meta.url);
const encrypted = createPrivateKey(keyPem("shop")).export({
  type: "pkcs8",
  format: "pem",
  cipher: "aes-256-cbc",
  passphrase: "secret",
});
const more: Readonly<Record<string, string>> = {
  "encrypted.key.pem": String(encrypted),
  "text.pem": "hello\n",
  "broken.pem": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
};

/** The files of these tests, and the certificates of the kit, by base name. */
function readFile(path: string): Uint8Array {
  const name = basename(path);
  const contents = testFiles[name] ?? more[name];
  return contents === undefined ? readFileSync(new URL(name, pki)) : Buffer.from(contents);
}

const options = { readFile };
const withListener = (rest: string) =>
  changed("    address: 0.0.0.0:8080\n", `    address: 0.0.0.0:8080\n    ${rest}\n`);
const withTls = (tls: string) => withListener(`tls: { ${tls} }`);
const withAddress = (address: string) => changed("address: 0.0.0.0:8080", `address: ${address}`);
const pair = (cert: string, key: string, rest = "") => `certificates: [{ certFile: ${cert}, keyFile: ${key}${rest} }]`;

const cases: readonly (readonly [string, string, string])[] = [
  [
    "a missing certificate file",
    withTls(pair("missing.pem", "shop.key.pem")),
    "4:39: error: the file <folder>/missing.pem cannot be used: no such file",
  ],
  [
    "a missing key file",
    withTls(pair("shop.pem", "missing.pem")),
    "4:58: error: the file <folder>/missing.pem cannot be used: no such file",
  ],
  [
    "no certificate in the file",
    withTls(pair("text.pem", "shop.key.pem")),
    "4:39: error: the file <folder>/text.pem cannot be used: it contains no certificate (-----BEGIN CERTIFICATE-----)",
  ],
  [
    "an invalid certificate",
    withTls(pair("broken.pem", "shop.key.pem")),
    "4:39: error: the file <folder>/broken.pem cannot be used: its first certificate cannot be parsed",
  ],
  [
    "swapped files",
    withTls(pair("shop.key.pem", "shop.pem")),
    "4:39: error: the file <folder>/shop.key.pem cannot be used: it contains a private key and no certificate; are certFile and keyFile swapped?",
  ],
  [
    "no key in the file",
    withTls(pair("shop.pem", "text.pem")),
    "4:58: error: the file <folder>/text.pem cannot be used: it contains no readable private key (-----BEGIN PRIVATE KEY-----)",
  ],
  [
    "an encrypted key",
    withTls(pair("shop.pem", "encrypted.key.pem")),
    "4:58: error: the file <folder>/encrypted.key.pem cannot be used: it is encrypted, and a passphrase is not supported; store it decrypted",
  ],
  [
    "the key of another certificate",
    withTls(pair("shop.pem", "renewed.key.pem")),
    "4:58: error: the file <folder>/renewed.key.pem cannot be used: it does not match the certificate",
  ],
  [
    "a key that is too short for OpenSSL",
    withTls(pair("weak.pem", "weak.key.pem")),
    "4:39: error: the file <folder>/weak.pem cannot be used: OpenSSL rejects it: ee key too small",
  ],
  [
    "a CA file without certificates",
    withTls(`${pair("shop.pem", "shop.key.pem")}, clientCa: text.pem`),
    "4:85: error: the file <folder>/text.pem cannot be used: it contains no certificate (-----BEGIN CERTIFICATE-----)",
  ],
  ["no certificates", withTls("certificates: []"), "4:26: error: the list of certificates is empty"],
  [
    "an insecure TLS version",
    withTls(`${pair("shop.pem", "shop.key.pem")}, minVersion: TLSv1.1`),
    '4:87: error: expected TLSv1.2 or TLSv1.3, found "TLSv1.1"; did you mean "TLSv1.2"?',
  ],
  [
    "an invalid host",
    withTls(pair("shop.pem", "shop.key.pem", ", hosts: [shop.example:443]")),
    '4:80: error: "shop.example:443" is not a host; remove the port',
  ],
  ["a file mode for a port", withListener("mode: 0600"), "4:5: error: mode applies to unix sockets only"],
  ["an invalid file mode", withListener("mode: rw"), '4:11: error: "rw" is not a file mode in octal, such as 0660'],
  [
    "a socket without a path",
    withAddress('"unix:perch.sock"'),
    '3:14: error: "unix:perch.sock" has no absolute socket path; write it as in unix:/run/perch.sock',
  ],
  [
    "a path that is too long",
    withAddress(`unix:/${"x".repeat(107)}`),
    "3:14: error: the path has 108 bytes; the maximum for a unix socket is 107",
  ],
  [
    "two listeners on one socket",
    withAddress("unix:/run/a.sock\n  - { name: other, address: unix:/run/a.sock }"),
    '4:29: error: listener "web" already uses the address unix:/run/a.sock',
  ],
  [
    "an IPv4 port that an IPv6 listener uses",
    withAddress('"[::]:8080"\n  - { name: other, address: 0.0.0.0:8080 }'),
    '4:29: error: listener "web" already uses the address [::]:8080; [::] accepts IPv4 too, so one of the two is enough',
  ],
  [
    "a port that a listener on every address uses",
    withAddress('"*:8080"\n  - { name: other, address: 0.0.0.0:8080 }'),
    '4:29: error: listener "web" already uses the address *:8080; * includes it, so one of the two is enough',
  ],
  ["every address of no port", withAddress('"*:70000"'), "3:14: error: 70000 is not a port: the maximum is 65535"],
];

describe("an invalid listener", () => {
  test.for(cases)("%s", ([, text, wanted]) => {
    expect(problemsOf(load(text, options))).toEqual([wanted]);
  });
});

describe("a listener", () => {
  const day = 86_400_000;
  const ends = Date.UTC(2120, 0, 1);
  test.for([
    ["does not warn of a certificate that is valid for long", "shop", ends - 15 * day, []],
    [
      "warns of one that expires soon",
      "shop",
      ends - 13 * day,
      ["4:39: warning: the certificate expires at 2120-01-01T00:00:00Z"],
    ],
    [
      "warns of one that has expired",
      "shop",
      ends + 1000,
      ["4:39: warning: the certificate expired at 2120-01-01T00:00:00Z"],
    ],
    [
      "warns of one that is not yet valid",
      "shop",
      Date.UTC(2019, 0, 1),
      ["4:39: warning: the certificate is not valid before 2020-01-01T00:00:00Z"],
    ],
    ["warns of a short-lived one only in its last third", "expired", Date.UTC(2020, 11, 10), []],
  ] as const)("%s", ([, name, now, warnings]) => {
    const text = withTls(pair(`${name}.pem`, `${name}.key.pem`));
    expect(problemsOf(load(text, { ...options, nowMs: () => now }))).toEqual(warnings);
  });

  test("uses the names of a certificate, and accepts every notation of file modes", () => {
    const result = load(withTls(pair(certFile("wildcard"), certFile("wildcard").replace(".pem", ".key.pem"))), options);
    const [listener] = result.ok ? result.compiled.listeners : [];
    expect(listener?.tls?.certificates[0]?.hosts).toEqual(["*.example.org", "example.org"]);
    for (const mode of ["0600", "600", '"0600"']) {
      const socket = compiled(withAddress(`unix:/run/perch.sock\n    mode: ${mode}`)).listeners[0]?.address;
      expect(socket).toEqual({ path: "/run/perch.sock", mode: 0o600 });
    }
  });

  test("has every address of the machine for *", () => {
    expect(compiled(withAddress('"*:8080"')).listeners[0]?.address).toEqual({ host: "*", port: 8080 });
  });

  test("trusts callers over unix sockets if trustedProxies contains unix", () => {
    const { trustedProxies, trustUnixSockets } = compiled(changed("[10.0.0.0/8]", "[10.0.0.0/8, unix]"));
    expect({ trustUnixSockets, count: trustedProxies.length }).toEqual({ trustUnixSockets: true, count: 1 });
  });
});
