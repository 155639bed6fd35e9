import { once } from "node:events";
import net from "node:net";
import { type ConnectionOptions, connect } from "node:tls";
import { describe, expect, it, test } from "vitest";
import { freeAfterTest } from "../kit/freed.ts";
import { certFile, certPem, keyPem } from "../kit/pki.ts";
import { RawClient } from "../kit/raw-client.ts";
import { tlsConnect, tlsGet } from "../kit/tls-client.ts";
import { shopTls, tlsPerch } from "../kit/tls-perch.ts";

const failures = (cause: string) => `perch_tls_handshake_failures_total{listener="web",cause="${cause}"}`;

/** Octets that reach Perch on a connection of their own, and whether it closed it. */
const octets =
  (sent: string, end = false) =>
  async (port: number) => {
    const raw = await RawClient.connect(port);
    freeAfterTest(async () => raw.close());
    if (end) raw.socket.end(sent, "latin1");
    else raw.send(sent);
    await raw.read();
  };

const client = (options: ConnectionOptions) => async (port: number) => {
  await expect(tlsGet(port, options)).rejects.toThrow();
};

/** The first octets of a client that speaks TLS 1.2. */
async function hello(): Promise<string> {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const client = connect({ port: (server.address() as net.AddressInfo).port, maxVersion: "TLSv1.2" });
  client.on("error", () => {});
  const [accepted] = (await once(server, "connection")) as [net.Socket];
  const [octets] = (await once(accepted, "data")) as [Buffer];
  client.destroy();
  server.close();
  return octets.toString("latin1");
}

/** A client that says by a fatal alert (unknown_ca) what it thinks of our certificate; node's own says nothing. */
async function refusal(port: number): Promise<void> {
  const raw = await RawClient.connect(port);
  freeAfterTest(async () => raw.close());
  raw.send(await hello());
  await raw.read((received) => received !== "");
  raw.send("\x15\x03\x03\x00\x02\x02\x30");
  await raw.read();
}

/** What a hello begins with, and nothing behind it. */
const halfHello = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
const clientCa = `, clientCa: ${certFile("authority")}`;

const cases: readonly (readonly [string, string, (port: number) => Promise<void>, string])[] = [
  ["HTTP in the clear", "", octets("GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n"), "not-tls"],
  ["something that is nothing", "", octets("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), "not-tls"],
  ["a hello that is cut off", "", octets(halfHello, true), "client-closed"],
  ["a client that leaves at once", "", octets("", true), "client-closed"],
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
    await Promise.all(Array.from({ length: 8 }, () => octets("hello, this is no TLS\r\n")(perch.port)));
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
    const raw = await RawClient.connect(perch.port);
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
