import { once } from "node:events";
import { copyFile, readFile } from "node:fs/promises";
import { createServer as createHttpsServer, type ServerOptions } from "node:https";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import type { PeerCertificate, TLSSocket } from "node:tls";
import { describe, expect, it } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { TestDnsServer } from "../../kit/dns-server.ts";
import { freeAfterTest, perch, rawUpstream } from "../../kit/freed.ts";
import { h2Upstream } from "../../kit/h2-upstream.ts";
import { upstreamErrors } from "../../kit/one-service.ts";
import { certFile, certPem, keyPem, type TestCertificate } from "../../kit/pki.ts";
import { changeablePerch, freePorts, temporaryFolder } from "../../kit/served.ts";
import { sent, upgradeHead } from "../../kit/websocket.ts";

const keyFile = (name: TestCertificate) => certFile(name).replace(/\.pem$/, ".key.pem");

/** An https endpoint that shows this certificate, and what it learnt of each connection. */
async function secured(certificate: TestCertificate, options: ServerOptions = {}) {
  const names: unknown[] = [];
  const clients: string[] = [];
  const server = createHttpsServer(
    { cert: certPem(certificate), key: keyPem(certificate), ...options },
    (_request, response) => void response.end("secret"),
  );
  server.on("secureConnection", (socket: TLSSocket) => {
    names.push(socket.servername);
    const { subject } = socket.getPeerCertificate() as Partial<PeerCertificate>;
    clients.push(String(subject?.CN));
  });
  server.on("tlsClientError", () => {});
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  freeAfterTest(async () => {
    server.close();
    server.closeAllConnections();
  });
  return { server, port: (server.address() as AddressInfo).port, names, clients };
}

/** A configuration for one endpoint. */
const shop = (endpoint: string, tls: string, more = "") => `
services: { shop: { versions: { stable: { endpoints: [${endpoint}] } }, tls: { ${tls} }${more} } }
routes: [{ name: all, service: shop }]`;

const trusting = `ca: ${certFile("authority")}`;

/** Perch, and what it writes to its access log. */
async function logged(yaml: string) {
  const path = join(await temporaryFolder(), "access.log");
  const started = await perch(yaml, { accessLogTo: path });
  const line = async () => {
    const lines = async () => (await readFile(path, "utf8")).split("\n").length;
    await expect.poll(lines, { timeout: 10_000 }).toBeGreaterThan(1);
    return JSON.parse((await readFile(path, "utf8")).split("\n")[0] ?? "") as Record<string, unknown>;
  };
  return { ...started, line };
}

async function visit(origin: string): Promise<readonly [number, string | null, string]> {
  const response = await fetch(origin, { headers: { host: "elsewhere.example" } });
  return [response.status, response.headers.get("x-perch-error"), await response.text()];
}

describe("an https endpoint", () => {
  it("is known by an authority of one's own", async () => {
    const { port, names } = await secured("shop");
    const { origin } = await perch(shop(`"https://localhost:${port}"`, trusting));
    expect(await visit(origin)).toEqual([200, null, "secret"]);
    expect(names).toEqual(["localhost"]);
  });

  it("may be known by a name that is not its address's", async () => {
    const { port, names } = await secured("shop");
    const { origin } = await perch(shop(`"https://127.0.0.1:${port}"`, `${trusting}, serverName: shop.example`));
    expect(await visit(origin)).toEqual([200, null, "secret"]);
    expect(names).toEqual(["shop.example"]);
  });

  it("that DNS leads to is known by the name that was asked for, not by where it led", async () => {
    const { port, names } = await secured("wildcard");
    const server = await TestDnsServer.start({ "shop.example.org": { A: ["127.0.0.1"] } });
    const endpoint = `{ dns: shop.example.org, port: ${port}, scheme: https }`;
    const { origin } = await perch(`dns: { servers: ["${server.address}"] }\n${shop(endpoint, trusting)}`);
    expect(await visit(origin)).toEqual([200, null, "secret"]);
    expect(names).toEqual(["shop.example.org"]);
  });

  it("is shown a certificate where there is one to show", async () => {
    const mutual = { requestCert: true, rejectUnauthorized: true, ca: certPem("authority") };
    const { port, clients } = await secured("shop", mutual);
    const client = `, cert: ${certFile("client")}, key: ${keyFile("client")}`;
    const { origin } = await perch(shop(`"https://localhost:${port}"`, trusting + client));
    expect(await visit(origin)).toEqual([200, null, "secret"]);
    expect(clients).toEqual(["ada"]);
  });

  it("is taken whoever it is, where the file says so", async () => {
    const { port } = await secured("expired");
    const { origin } = await perch(shop(`"https://localhost:${port}"`, "insecureSkipVerify: true"));
    expect(await visit(origin)).toEqual([200, null, "secret"]);
  });

  it.each<[string, TestCertificate, string, string]>([
    ["of an authority that does not count", "shop", "", "UNABLE_TO_VERIFY_LEAF_SIGNATURE"],
    [
      "of another authority than the one named",
      "shop",
      `ca: ${certFile("other-authority")}`,
      "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
    ],
    ["for another name", "wildcard", trusting, "ERR_TLS_CERT_ALTNAME_INVALID"],
    [
      "for another name than the one it must bear",
      "shop",
      `${trusting}, serverName: other.example`,
      "ERR_TLS_CERT_ALTNAME_INVALID",
    ],
    ["that has expired", "expired", trusting, "CERT_HAS_EXPIRED"],
  ])("with a certificate %s is sent nothing: 502, and the log says why", async (_sentence, certificate, tls, cause) => {
    const { port, names } = await secured(certificate);
    const { origin, metric, line } = await logged(shop(`"https://localhost:${port}"`, tls));
    const [status, error, body] = await visit(origin);
    expect([status, error]).toEqual([502, "tls-failed"]);
    expect(body).not.toContain(cause);
    expect(body).not.toContain(`${port}`);
    expect(await line()).toMatchObject({ status: 502, error: "tls-failed", cause });
    expect(await metric(upstreamErrors("tls-failed"))).toBe(1);
    expect(await metric(upstreamErrors("connect-failed"))).toBe(0);
    expect(names.length).toBeLessThanOrEqual(1);
  });

  it("that does not speak TLS is told apart from one that is not there", async () => {
    const plain = await rawUpstream((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
    const speaking = await logged(shop(`"https://127.0.0.1:${plain.port}"`, trusting));
    expect((await visit(speaking.origin)).slice(0, 2)).toEqual([502, "tls-failed"]);
    const gone = createServer().listen(0, "127.0.0.1");
    await once(gone, "listening");
    const { port } = gone.address() as AddressInfo;
    gone.close();
    await once(gone, "close");
    const silent = await logged(shop(`"https://127.0.0.1:${port}"`, trusting));
    expect((await visit(silent.origin)).slice(0, 2)).toEqual([502, "connect-failed"]);
    expect(await silent.line()).toMatchObject({ error: "connect-failed", cause: "ECONNREFUSED" });
  });

  it("that is passed over for its certificate leaves its requests to another", async () => {
    const bad = await secured("expired");
    const good = await secured("shop");
    const both = `"https://localhost:${bad.port}", "https://localhost:${good.port}"`;
    const { origin } = await perch(shop(both, trusting, ", balance: round-robin"));
    for (let at = 0; at < 4; at++) expect((await visit(origin))[0]).toBe(200);
  });
});

describe("a reload", () => {
  it("that changes tls renews connections, and one that does not keeps them", async () => {
    const { port, names } = await secured("shop");
    const at = (tls: string, more = "") => freePorts + more + shop(`"https://localhost:${port}"`, tls);
    const { perch: started, change } = await changeablePerch(at(trusting));
    expect((await visit(started.origin))[0]).toBe(200);
    await change(at(trusting, "exposeVersion: true\n"));
    expect((await visit(started.origin))[0]).toBe(200);
    expect(names).toEqual(["localhost"]);
    await change(at(`${trusting}, serverName: shop.example`));
    expect((await visit(started.origin))[0]).toBe(200);
    expect(names).toEqual(["localhost", "shop.example"]);
    await change(at(`ca: ${certFile("other-authority")}`));
    expect((await visit(started.origin)).slice(0, 2)).toEqual([502, "tls-failed"]);
  });

  it("follows the files that tls names", async () => {
    const { port } = await secured("shop");
    const ca = join(await temporaryFolder(), "ca.pem");
    await copyFile(certFile("other-authority"), ca);
    const { perch: started, reloadedBy } = await changeablePerch(
      freePorts + shop(`"https://localhost:${port}"`, `ca: ${ca}`),
    );
    expect((await visit(started.origin)).slice(0, 2)).toEqual([502, "tls-failed"]);
    await reloadedBy(() => copyFile(certFile("authority"), ca));
    await expect.poll(async () => (await visit(started.origin))[0], { timeout: 5_000 }).toBe(200);
  });
});

describe("HTTP/2 to an https endpoint", () => {
  const http2 = ", protocol: http2";

  it("is known in the same way", async () => {
    const { port } = await h2Upstream(undefined, { cert: certPem("shop"), key: keyPem("shop") });
    const { origin } = await perch(shop(`"https://127.0.0.1:${port}"`, `${trusting}, serverName: shop.example`, http2));
    expect((await visit(origin))[0]).toBe(200);
  });

  it("is not spoken where the certificate is not trusted", async () => {
    const { port } = await h2Upstream(undefined, { cert: certPem("shop"), key: keyPem("shop") });
    const { origin, line } = await logged(
      shop(`"https://127.0.0.1:${port}"`, `ca: ${certFile("other-authority")}`, http2),
    );
    expect((await visit(origin)).slice(0, 2)).toEqual([502, "tls-failed"]);
    expect(await line()).toMatchObject({ cause: "UNABLE_TO_VERIFY_LEAF_SIGNATURE" });
  });
});

describe("a WebSocket to an https endpoint", () => {
  it("is known in the same way", async () => {
    const { server, port, names } = await secured("shop");
    const sockets = new WebSocketServer({ server });
    freeAfterTest(async () => {
      for (const client of sockets.clients) client.terminate();
    });
    const started = await perch(shop(`"https://127.0.0.1:${port}"`, `${trusting}, serverName: shop.example`));
    const client = new WebSocket(`ws://127.0.0.1:${started.port}/`);
    await once(client, "open");
    expect(names).toEqual(["shop.example"]);
    client.terminate();
  });

  it("is not made where the certificate is not trusted", async () => {
    const { port } = await secured("shop");
    const { port: at, line } = await logged(shop(`"https://localhost:${port}"`, `ca: ${certFile("other-authority")}`));
    const client = await sent(at, upgradeHead());
    expect(await client.read()).toContain("\r\nx-perch-error: tls-failed\r\n");
    expect(await line()).toMatchObject({ error: "tls-failed", cause: "UNABLE_TO_VERIFY_LEAF_SIGNATURE" });
  });
});
