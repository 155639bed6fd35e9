/** @module-tag slow */
import { once } from "node:events";
import net from "node:net";
import { type ConnectionOptions, connect } from "node:tls";
import { describe, expect, it } from "vitest";
import { freeAfterTest, rawClient } from "../kit/freed.ts";
import { H2Client } from "../kit/h2-client.ts";
import { shopAt } from "../kit/one-service.ts";
import { certFile, certificateYaml, certPem, keyPem } from "../kit/pki.ts";
import { changeablePerch } from "../kit/served.ts";
import { shownName, tlsConnect, tlsGet } from "../kit/tls-client.ts";
import { shopTls, tlsListener, tlsPerch } from "../kit/tls-perch.ts";

const get = "GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n";
const known = { cert: certPem("client"), key: keyPem("client") };
const untrusted = { cert: certPem("stranger"), key: keyPem("stranger") };
const clientCa = `, clientCa: ${certFile("authority")}`;

/** A connection that is freed after the test, and what it has received. */
async function connection(port: number, options: ConnectionOptions = {}) {
  const socket = await tlsConnect(port, options);
  freeAfterTest(async () => socket.destroy());
  const seen = { received: "" };
  socket.setEncoding("latin1").on("data", (text: string) => {
    seen.received += text;
  });
  return { socket, seen };
}

/** A session to resume, after a request over it. */
async function sessionOf(port: number, options: ConnectionOptions = {}): Promise<Buffer> {
  const { socket, seen } = await connection(port, options);
  socket.write(get);
  await expect.poll(() => seen.received).not.toBe("");
  const session = socket.getSession();
  socket.destroy();
  if (session === undefined) throw new Error("no session");
  return session;
}

const isResumed = async (port: number, options: ConnectionOptions) =>
  (await connection(port, options)).socket.isSessionReused();

/** A configuration file with this listener. */
const file = (listener: string, more = "") =>
  `listeners: [${listener}]\nadmin: { address: "127.0.0.1:0" }\n${shopAt("http://127.0.0.1:1", more)}`;

const failures = (cause: string) => `perch_tls_handshake_failures_total{listener="web",cause="${cause}"}`;

/** Bytes on a connection of their own, which Perch closes. */
const bytes =
  (sent: string, end = false) =>
  async (port: number) => {
    const raw = await rawClient(port);
    if (end) raw.socket.end(sent, "latin1");
    else raw.send(sent);
    await raw.read();
  };

const handshake = (options: ConnectionOptions) => async (port: number) => {
  await expect(tlsGet(port, options)).rejects.toThrow();
};

/** The ClientHello of TLS 1.2. */
async function hello(): Promise<string> {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const client = connect({ port: (server.address() as net.AddressInfo).port, maxVersion: "TLSv1.2" });
  client.on("error", () => {});
  const [accepted] = (await once(server, "connection")) as [net.Socket];
  const [bytes] = (await once(accepted, "data")) as [Buffer];
  client.destroy();
  server.close();
  return bytes.toString("latin1");
}

/** A client that refuses the certificate with a fatal alert (unknown_ca), which node's own does not send. */
async function refusal(port: number): Promise<void> {
  const raw = await rawClient(port);
  raw.send(await hello());
  await raw.read((received) => received !== "");
  raw.send("\x15\x03\x03\x00\x02\x02\x30");
  await raw.read();
}

/** The beginning of a ClientHello. */
const halfHello = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";

describe("a listener with tls", () => {
  it("serves HTTP/1.1, with X-Forwarded-Proto: https", async () => {
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
    ["the one with the name in another case", "API.Example.ORG", "wildcard"],
    ["the first for two labels below a wildcard", "a.b.example.org", "shop.example"],
    ["the one with the name in `hosts`", "given.example", "expired.example"],
  ] as const;
  it.for(choices)("shows %s", async ([, servername, shown]) => {
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
      "no version older than TLS 1.2",
      "",
      { minVersion: "TLSv1.1", maxVersion: "TLSv1.1", ciphers: "DEFAULT:@SECLEVEL=0" },
      "ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION",
    ],
    ["HTTP/1.1 by ALPN", "", { ALPNProtocols: ["http/1.1"] }, "http/1.1"],
    ["no other protocol by ALPN", "", { ALPNProtocols: ["spdy/3"] }, "ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL"],
  ] as const;
  it.for(clients)("speaks %s", async ([, tls, options, wanted]) => {
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

  it("speaks HTTP/2 with a client that asks for it by ALPN", async () => {
    const { shop, perch } = await tlsPerch(shopTls, "releases: { shop: { split: { stable: 1 } } }");
    const client = new H2Client(`https://127.0.0.1:${perch.port}`, {
      ca: certPem("authority"),
      servername: "shop.example",
    });
    const answers = await Promise.all([client.get({ scheme: "https" }), client.get({ scheme: "https" })]);
    expect(answers.map(({ status, body }) => [status, body])).toEqual([
      [200, "hello from stable\n"],
      [200, "hello from stable\n"],
    ]);
    expect(answers[0]?.headers["set-cookie"]).toContain("Secure");
    expect(shop.seen[0]?.headers["x-forwarded-proto"]).toBe("https");
  });

  it.each([
    ["asks for HTTP/1.1", { ALPNProtocols: ["http/1.1"] }],
    ["asks for nothing", {}],
  ])("speaks HTTP/1.1 with a client that %s", async (_what, options) => {
    const { perch } = await tlsPerch(shopTls);
    expect((await tlsGet(perch.port, options)).status).toBe(200);
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
    const { perch, shop } = await tlsPerch(shopTls + clientCa);
    expect((await tlsGet(perch.port, known)).status).toBe(200);
    await expect(tlsGet(perch.port, untrusted)).rejects.toThrow();
    await expect(tlsGet(perch.port)).rejects.toThrow();
    expect(shop.seen).toHaveLength(1);
  });
});

describe("a session", () => {
  it.for(["TLSv1.2", "TLSv1.3"] as const)("is resumed, %s", async (maxVersion) => {
    const { perch } = await tlsPerch(shopTls);
    const session = await sessionOf(perch.port, { maxVersion });
    expect(await isResumed(perch.port, { maxVersion, session })).toBe(true);
    expect((await tlsGet(perch.port, { maxVersion, session })).status).toBe(200);
  });

  it("is resumed by name, and with a client certificate that was shown before", async () => {
    const tls = `certificates: [${certificateYaml("shop")}, ${certificateYaml("wildcard")}], clientCa: ${certFile("authority")}`;
    const { perch } = await tlsPerch(tls);
    for (const servername of ["shop.example", "api.example.org"]) {
      const session = await sessionOf(perch.port, { ...known, servername });
      expect(await isResumed(perch.port, { ...known, servername, session })).toBe(true);
      expect((await tlsGet(perch.port, { ...known, servername, session })).status).toBe(200);
    }
  });

  it("is resumed by any of several workers", { tags: ["slow"] }, async () => {
    const { perch } = await tlsPerch(shopTls, "workers: 3");
    const session = await sessionOf(perch.port);
    for (let visit = 0; visit < 12; visit++) expect(await isResumed(perch.port, { session })).toBe(true);
  });

  it("is resumed after a reload", async () => {
    const { perch, change } = await changeablePerch(file(tlsListener(shopTls)));
    const session = await sessionOf(perch.port);
    await change(file(tlsListener(shopTls), "exposeVersion: true"));
    expect(await isResumed(perch.port, { session })).toBe(true);
  });

  // A ticket must not stand in for a certificate that was never shown.
  it.for(["TLSv1.2", "TLSv1.3"] as const)(
    "of a listener without clientCa is not accepted by one with it, %s (CVE-2025-23419)",
    async (maxVersion) => {
      const open = tlsListener(shopTls).replace("name: web", "name: open");
      const listeners = `${open}, ${tlsListener(shopTls + clientCa)}`;
      const { perch, shop } = await tlsPerch("", "", { listeners });
      const [openPort, closedPort] = perch.app.listeners.map(({ address }) =>
        typeof address === "object" ? address.port : 0,
      );
      const session = await sessionOf(openPort ?? 0, { maxVersion });
      await expect.poll(() => shop.seen.length).toBe(1);
      await expect(tlsGet(closedPort ?? 0, { maxVersion, session })).rejects.toThrow();
      expect(shop.seen).toHaveLength(1);
      // Nor does it prevent a handshake with one.
      expect((await tlsGet(closedPort ?? 0, { ...known, maxVersion, session })).status).toBe(200);
    },
  );

  it("that began before clientCa was set is not resumed", async () => {
    const { perch, change } = await changeablePerch(file(tlsListener(shopTls)));
    const session = await sessionOf(perch.port);
    await change(file(tlsListener(shopTls + clientCa)));
    await expect(tlsGet(perch.port, { session })).rejects.toThrow();
    const { socket } = await connection(perch.port, { ...known, session });
    expect({ shown: shownName(socket), resumed: socket.isSessionReused() }).toEqual({
      shown: "shop.example",
      resumed: false,
    });
  });
});

const cases: readonly (readonly [string, string, (port: number) => Promise<void>, string])[] = [
  ["HTTP in the clear", "", bytes(get), "not-tls"],
  ["bytes of no protocol", "", bytes("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), "not-tls"],
  ["a hello that is cut off", "", bytes(halfHello, true), "client-closed"],
  ["a client that leaves at once", "", bytes("", true), "client-closed"],
  ["too low a version", ", minVersion: TLSv1.3", handshake({ maxVersion: "TLSv1.2" }), "version"],
  ["no cipher in common", "", handshake({ maxVersion: "TLSv1.2", ciphers: "ECDHE-RSA-AES128-GCM-SHA256" }), "cipher"],
  ["no protocol in common", "", handshake({ ALPNProtocols: ["spdy/3"] }), "protocol"],
  ["no client certificate", clientCa, handshake({}), "client-certificate"],
  ["no client certificate, TLS 1.2", clientCa, handshake({ maxVersion: "TLSv1.2" }), "client-certificate"],
  ["a client certificate of another authority", clientCa, handshake(untrusted), "client-certificate"],
  ["a client that does not trust the certificate", "", refusal, "refused-by-client"],
];

describe("a TLS handshake that fails", () => {
  it.for(cases)("is counted, and affects no other connection: %s", async ([, tls, fail, cause]) => {
    const { perch, shop } = await tlsPerch(shopTls + tls);
    await fail(perch.port);
    await expect.poll(() => perch.metric(failures(cause))).toBe(1);
    const text = await (await perch.admin("/metrics")).text();
    const all = [...text.matchAll(/^perch_tls_handshake_failures_total\{.*\} (\d+)$/gm)].map(([, count]) =>
      Number(count),
    );
    expect(all.reduce((sum, count) => sum + count, 0)).toBe(1);
    const { status } = await tlsGet(perch.port, known);
    expect(status).toBe(200);
    expect(shop.seen).toHaveLength(1);
  });

  it("is counted over all workers", { tags: ["slow"] }, async () => {
    const { perch } = await tlsPerch(shopTls, "workers: 2");
    await Promise.all(Array.from({ length: 8 }, () => bytes("hello, this is no TLS\r\n")(perch.port)));
    await expect.poll(() => perch.metric(failures("not-tls"))).toBe(8);
  });

  it("has no effect on others after the handshake either", async () => {
    const { perch } = await tlsPerch(shopTls);
    const below = net.connect(perch.port, "127.0.0.1");
    const socket = connect({ socket: below, ca: certPem("authority"), servername: "shop.example" });
    await new Promise((resolve) => socket.once("secureConnect", resolve));
    const closed = new Promise((resolve) => below.once("close", resolve));
    socket.on("error", () => {});
    // A record of application data that does not decrypt.
    below.write("\x17\x03\x03\x00\x20garbage garbage garbage garbage!", "latin1");
    await closed;
    expect((await tlsGet(perch.port)).status).toBe(200);
  });

  it("is aborted by a drain where it does not go on", { tags: ["slow"] }, async () => {
    const { perch } = await tlsPerch(shopTls);
    const raw = await rawClient(perch.port);
    raw.send(halfHello);
    // The first has been accepted once another is served.
    await tlsGet(perch.port);
    await perch.app.drain("test");
    expect(await raw.read()).toBe("");
  });

  it("is completed during a drain, and its request is answered", async () => {
    const { perch } = await tlsPerch(shopTls);
    const { socket, seen } = await connection(perch.port);
    socket.write(get);
    await perch.app.drain("test");
    await expect.poll(() => seen.received).toContain("hello from stable");
  });
});

describe("the key of a listener", () => {
  it("is in no response of the admin server", async () => {
    const { perch } = await tlsPerch(shopTls);
    const secret = keyPem("shop").split("\n")[1] ?? "";
    for (const path of ["/metrics", "/api/config", "/api/releases", "/api/explain?url=https://shop.example/"]) {
      expect(await (await perch.admin(path)).text()).not.toContain(secret);
    }
  });
});

describe("renegotiation", () => {
  it("is refused: a client of TLS 1.2 gets one handshake a connection", async () => {
    const { perch } = await tlsPerch(shopTls);
    const { socket } = await connection(perch.port, { maxVersion: "TLSv1.2" });
    const { promise: renegotiated, resolve } = Promise.withResolvers<Error | null>();
    socket.once("error", resolve);
    socket.renegotiate({}, resolve);
    expect(await renegotiated).toMatchObject({ code: "ERR_SSL_NO_RENEGOTIATION" });
  });
});
