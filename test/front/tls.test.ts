import { describe, expect, it, test } from "vitest";
import { certFile, certificateYaml, certPem, keyPem } from "../kit/pki.ts";
import { shownName, tlsConnect, tlsGet } from "../kit/tls-client.ts";
import { shopTls, tlsPerch } from "../kit/tls-perch.ts";

describe("a listener with tls", () => {
  it("serves HTTP/1.1 and tells upstreams that the client came by https", async () => {
    const { perch, shop } = await tlsPerch(shopTls);
    const { status, headers } = await tlsGet(perch.port);
    expect({ status, upstream: headers["x-upstream"] }).toEqual({ status: 200, upstream: "stable" });
    const sent = shop.seen[0]?.headers;
    expect([sent?.["x-forwarded-proto"], sent?.["x-forwarded-port"], sent?.["x-forwarded-for"]]).toEqual([
      "https",
      "443",
      "127.0.0.1",
    ]);
  });

  const choices = [
    ["the first where no other has the name", "other.example", "shop.example"],
    ["the one with the name", "example.org", "wildcard"],
    ["the one with a wildcard for it", "api.example.org", "wildcard"],
    ["whatever the letter case", "API.Example.ORG", "wildcard"],
    ["the first for two labels below a wildcard", "a.b.example.org", "shop.example"],
    ["by names that the file gives instead", "given.example", "expired.example"],
  ] as const;
  test.for(choices)("shows %s", async ([, servername, shown]) => {
    const all = [
      certificateYaml("shop"),
      certificateYaml("wildcard"),
      certificateYaml("expired", ", hosts: [given.example]"),
    ];
    const { perch } = await tlsPerch(`certificates: [${all.join(", ")}]`);
    const socket = await tlsConnect(perch.port, { servername, rejectUnauthorized: false });
    expect(shownName(socket)).toBe(shown);
    socket.destroy();
  });

  const clients = [
    ["the lowest version by default", "", { maxVersion: "TLSv1.2" }, "TLSv1.2"],
    ["the highest version that both know", "", {}, "TLSv1.3"],
    [
      "no version below minVersion",
      ", minVersion: TLSv1.3",
      { maxVersion: "TLSv1.2" },
      "ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION",
    ],
    [
      "no version that is broken",
      "",
      { minVersion: "TLSv1.1", maxVersion: "TLSv1.1", ciphers: "DEFAULT:@SECLEVEL=0" },
      "ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION",
    ],
    ["HTTP/1.1 by ALPN", "", { ALPNProtocols: ["http/1.1"] }, "http/1.1"],
    [
      "nobody who wants another protocol",
      "",
      { ALPNProtocols: ["spdy/3"] },
      "ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL",
    ],
  ] as const;
  test.for(clients)("speaks %s", async ([, tls, options, wanted]) => {
    const { perch } = await tlsPerch(shopTls + tls);
    const client = { ...options, ...("ALPNProtocols" in options ? { ALPNProtocols: [...options.ALPNProtocols] } : {}) };
    const found = await tlsConnect(perch.port, client).then(
      (socket) => {
        const spoken = socket.alpnProtocol || socket.getProtocol();
        socket.destroy();
        return spoken;
      },
      (error) => error.code,
    );
    expect(found).toBe(wanted);
  });

  it("has its requests served by the fast lane, which hands over what it does not serve", async () => {
    const { perch } = await tlsPerch(shopTls);
    const handOvers = 'perch_fast_lane_handovers_total{cause="head"}';
    expect((await tlsGet(perch.port)).status).toBe(200);
    expect(await perch.metric(handOvers)).toBe(0);
    expect((await tlsGet(perch.port, {}, { expect: "100-continue" })).status).toBe(200);
    expect(await perch.metric(handOvers)).toBe(1);
  });

  it("serves only clients with a certificate of clientCa", async () => {
    const { perch, shop } = await tlsPerch(`${shopTls}, clientCa: ${certFile("authority")}`);
    const known = { cert: certPem("client"), key: keyPem("client") };
    expect((await tlsGet(perch.port, known)).status).toBe(200);
    await expect(tlsGet(perch.port, { cert: certPem("stranger"), key: keyPem("stranger") })).rejects.toThrow();
    await expect(tlsGet(perch.port)).rejects.toThrow();
    expect(shop.seen).toHaveLength(1);
  });
});
