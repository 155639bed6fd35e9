import { once } from "node:events";
import net from "node:net";
import { type ConnectionOptions, connect, type TLSSocket } from "node:tls";
import { describe, expect, it, test } from "vitest";
import { freeAfterTest, perch, rawClient, upstream } from "../kit/freed.ts";
import { H2Client } from "../kit/h2-client.ts";
import { certFile, certificateYaml, certPem, keyPem } from "../kit/pki.ts";
import { changeablePerch } from "../kit/served.ts";
import { shownName, tlsConnect, tlsGet } from "../kit/tls-client.ts";
import { shopAt, shopTls, tlsListener, tlsPerch } from "../kit/tls-perch.ts";

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

async function http2Perch() {
  const shop = await upstream("stable");
  const started = await perch(
    `
services: { shop: { versions: { stable: { endpoints: ["${shop.origin}"] } } } }
releases: { shop: { split: { stable: 1 } } }
routes: [{ name: all, service: shop, release: shop }]`,
    { listeners: `{ name: web, address: "127.0.0.1:0", tls: { certificates: [${certificateYaml("shop")}] } }` },
  );
  return { shop, perch: started };
}

it("speaks HTTP/2 with a client that asks for it, whose requests come by https", async () => {
  const { shop, perch: started } = await http2Perch();
  const client = new H2Client(`https://127.0.0.1:${started.port}`, {
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
  const { perch: started } = await http2Perch();
  expect((await tlsGet(started.port, options)).status).toBe(200);
});

const get = "GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n";
const known = { cert: certPem("client"), key: keyPem("client") };

/** A session to come back with, after a request over it. */
async function sessionOf(port: number, options: ConnectionOptions = {}): Promise<Buffer> {
  const socket = await tlsConnect(port, options);
  let received = "";
  socket.setEncoding("latin1").on("data", (text: string) => {
    received += text;
  });
  socket.write(get);
  await expect.poll(() => received).not.toBe("");
  const session = socket.getSession();
  socket.destroy();
  if (session === undefined) throw new Error("no session");
  return session;
}

async function comeBack(port: number, options: ConnectionOptions): Promise<TLSSocket> {
  const socket = await tlsConnect(port, options);
  freeAfterTest(async () => socket.destroy());
  return socket;
}

describe("a session", () => {
  test.for(["TLSv1.2", "TLSv1.3"] as const)("is resumed, %s", async (maxVersion) => {
    const { perch } = await tlsPerch(shopTls);
    const session = await sessionOf(perch.port, { maxVersion });
    expect((await comeBack(perch.port, { maxVersion, session })).isSessionReused()).toBe(true);
    expect((await tlsGet(perch.port, { maxVersion, session })).status).toBe(200);
  });

  it("is resumed by name, and with a client certificate that was shown before", async () => {
    const tls = `certificates: [${certificateYaml("shop")}, ${certificateYaml("wildcard")}], clientCa: ${certFile("authority")}`;
    const { perch } = await tlsPerch(tls);
    for (const servername of ["shop.example", "api.example.org"]) {
      const session = await sessionOf(perch.port, { ...known, servername });
      expect((await comeBack(perch.port, { ...known, servername, session })).isSessionReused()).toBe(true);
      expect((await tlsGet(perch.port, { ...known, servername, session })).status).toBe(200);
    }
  });

  it("is resumed by any of several workers", async () => {
    const { perch } = await tlsPerch(shopTls, "workers: 3");
    const session = await sessionOf(perch.port);
    for (let visit = 0; visit < 12; visit++) {
      const socket = await tlsConnect(perch.port, { session });
      expect(socket.isSessionReused()).toBe(true);
      socket.destroy();
    }
  });

  it("is resumed after a reload", async () => {
    const file = (body: string) =>
      `listeners: [${tlsListener(shopTls)}]\nadmin: { address: "127.0.0.1:0" }\n${shopAt("http://127.0.0.1:1")}${body}`;
    const { perch, change } = await changeablePerch(file(""));
    const session = await sessionOf(perch.port);
    await change(file("exposeVersion: true"));
    expect((await comeBack(perch.port, { session })).isSessionReused()).toBe(true);
  });

  // A ticket must not stand in for a certificate that was never shown.
  test.for(["TLSv1.2", "TLSv1.3"] as const)(
    "of a listener that asks for no certificate is none of one that does, %s (CVE-2025-23419)",
    async (maxVersion) => {
      const open = tlsListener(shopTls).replace("name: web", "name: open");
      const listeners = `${open}, ${tlsListener(`${shopTls}, clientCa: ${certFile("authority")}`)}`;
      const { perch, shop } = await tlsPerch("", "", { listeners });
      const [openPort, closedPort] = perch.app.listeners.map(({ address }) =>
        typeof address === "object" ? address.port : 0,
      );
      const session = await sessionOf(openPort ?? 0, { maxVersion });
      await expect.poll(() => shop.seen.length).toBe(1);
      await expect(tlsGet(closedPort ?? 0, { maxVersion, session })).rejects.toThrow();
      expect(shop.seen).toHaveLength(1);
      // Nor is it in the way of whoever has one.
      expect((await tlsGet(closedPort ?? 0, { ...known, maxVersion, session })).status).toBe(200);
    },
  );

  it("that began before clientCa was there is none after it", async () => {
    const file = (tls: string) =>
      `listeners: [${tlsListener(tls)}]\nadmin: { address: "127.0.0.1:0" }\n${shopAt("http://127.0.0.1:1")}`;
    const { perch, change } = await changeablePerch(file(shopTls));
    const session = await sessionOf(perch.port);
    await change(file(`${shopTls}, clientCa: ${certFile("authority")}`));
    await expect(tlsGet(perch.port, { session })).rejects.toThrow();
    const socket = await comeBack(perch.port, { ...known, session });
    expect({ shown: shownName(socket), resumed: socket.isSessionReused() }).toEqual({
      shown: "shop.example",
      resumed: false,
    });
  });
});

const failures = (cause: string) => `perch_tls_handshake_failures_total{listener="web",cause="${cause}"}`;

/** Bytes that reach Perch on a connection of their own, and whether it closed it. */
const bytes =
  (sent: string, end = false) =>
  async (port: number) => {
    const raw = await rawClient(port);
    if (end) raw.socket.end(sent, "latin1");
    else raw.send(sent);
    await raw.read();
  };

const client = (options: ConnectionOptions) => async (port: number) => {
  await expect(tlsGet(port, options)).rejects.toThrow();
};

/** The first bytes of a client that speaks TLS 1.2. */
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

/** A client that says by a fatal alert (unknown_ca) what it thinks of our certificate; node's own says nothing. */
async function refusal(port: number): Promise<void> {
  const raw = await rawClient(port);
  raw.send(await hello());
  await raw.read((received) => received !== "");
  raw.send("\x15\x03\x03\x00\x02\x02\x30");
  await raw.read();
}

/** What a hello begins with, and nothing behind it. */
const halfHello = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
const clientCa = `, clientCa: ${certFile("authority")}`;

const cases: readonly (readonly [string, string, (port: number) => Promise<void>, string])[] = [
  ["HTTP in the clear", "", bytes("GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n"), "not-tls"],
  ["something that is nothing", "", bytes("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), "not-tls"],
  ["a hello that is cut off", "", bytes(halfHello, true), "client-closed"],
  ["a client that leaves at once", "", bytes("", true), "client-closed"],
  ["too low a version", ", minVersion: TLSv1.3", client({ maxVersion: "TLSv1.2" }), "version"],
  ["no cipher in common", "", client({ maxVersion: "TLSv1.2", ciphers: "ECDHE-RSA-AES128-GCM-SHA256" }), "cipher"],
  ["no protocol in common", "", client({ ALPNProtocols: ["spdy/3"] }), "protocol"],
  ["no client certificate", clientCa, client({}), "client-certificate"],
  ["no client certificate, TLS 1.2", clientCa, client({ maxVersion: "TLSv1.2" }), "client-certificate"],
  [
    "a client certificate of another authority",
    clientCa,
    client({ cert: certPem("stranger"), key: keyPem("stranger") }),
    "client-certificate",
  ],
  ["a client that does not trust us", "", refusal, "refused-by-client"],
];

describe("a TLS handshake that fails", () => {
  test.for(cases)("is counted, and costs nobody else: %s", async ([, tls, fail, cause]) => {
    const { perch, shop } = await tlsPerch(shopTls + tls);
    await fail(perch.port);
    await expect.poll(() => perch.metric(failures(cause))).toBe(1);
    const text = await (await perch.admin("/metrics")).text();
    const all = [...text.matchAll(/^perch_tls_handshake_failures_total\{.*\} (\d+)$/gm)].map(([, count]) =>
      Number(count),
    );
    expect(all.reduce((sum, count) => sum + count, 0)).toBe(1);
    const { status } = await tlsGet(perch.port, { cert: certPem("client"), key: keyPem("client") });
    expect(status).toBe(200);
    expect(shop.seen).toHaveLength(1);
  });

  it("is counted over all workers", async () => {
    const { perch } = await tlsPerch(shopTls, "workers: 2");
    await Promise.all(Array.from({ length: 8 }, () => bytes("hello, this is no TLS\r\n")(perch.port)));
    await expect.poll(() => perch.metric(failures("not-tls"))).toBe(8);
  });

  it("harms nothing once TLS is spoken either", async () => {
    const { perch } = await tlsPerch(shopTls);
    const below = net.connect(perch.port, "127.0.0.1");
    const socket = connect({ socket: below, ca: certPem("authority"), servername: "shop.example" });
    await new Promise((resolve) => socket.once("secureConnect", resolve));
    const closed = new Promise((resolve) => below.once("close", resolve));
    socket.on("error", () => {});
    // A record of application data that nobody sealed.
    below.write("\x17\x03\x03\x00\x20garbage garbage garbage garbage!", "latin1");
    await closed;
    expect((await tlsGet(perch.port)).status).toBe(200);
  });

  it("is broken off where it does not go on when Perch ends", async () => {
    const { perch } = await tlsPerch(shopTls);
    const raw = await rawClient(perch.port);
    raw.send(halfHello);
    // Whoever came before has been accepted once another is served.
    await tlsGet(perch.port);
    await perch.app.drain("test");
    expect(await raw.read()).toBe("");
  });

  it("is completed where it is under way when Perch ends, and its request is answered", async () => {
    const { perch } = await tlsPerch(shopTls);
    const socket = await tlsConnect(perch.port);
    let received = "";
    socket.setEncoding("latin1").on("data", (text: string) => {
      received += text;
    });
    socket.write("GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n");
    const drained = perch.app.drain("test");
    await drained;
    await expect.poll(() => received).toContain("hello from stable");
    socket.destroy();
  });
});

describe("the key of a listener", () => {
  it("is in nothing that Perch shows", async () => {
    const { perch } = await tlsPerch(shopTls);
    const secret = keyPem("shop").split("\n")[1] ?? "";
    for (const path of ["/metrics", "/api/config", "/api/releases", "/api/explain?url=https://shop.example/"]) {
      expect(await (await perch.admin(path)).text()).not.toContain(secret);
    }
  });
});
