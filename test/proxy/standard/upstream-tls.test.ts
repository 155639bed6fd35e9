/** @module-tag slow */
import { once } from "node:events";
import { copyFile } from "node:fs/promises";
import { Agent, get } from "node:http";
import { createServer, type Server, type ServerOptions } from "node:https";
import { join } from "node:path";
import { getCACertificates, type PeerCertificate, setDefaultCACertificates, type TLSSocket } from "node:tls";
import { describe, expect, it } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { TestDnsServer } from "../../kit/dns-server.ts";
import { freeAfterTest, listening, perch, rawUpstream } from "../../kit/freed.ts";
import { h2cPerch } from "../../kit/h2-client.ts";
import { h2Upstream } from "../../kit/h2-upstream.ts";
import { shopAt, shopYaml, upstreamErrors } from "../../kit/one-service.ts";
import { certFile, certPem, keyFile, keyPem, type TestCertificate } from "../../kit/pki.ts";
import { changeablePerch, freePorts, loggedPerch, temporaryFolder } from "../../kit/served.ts";
import { refusedOrigin } from "../../kit/upstream.ts";
import { perchTo, sent, upgradeHead } from "../../kit/websocket.ts";

/** Has Perch trust the authority of the kit's certificates by default, for the current test. */
function trustByDefault(): void {
  const before = getCACertificates("default");
  setDefaultCACertificates([...before, certPem("authority")]);
  freeAfterTest(async () => setDefaultCACertificates(before));
}

/**
 * An https endpoint with this certificate; the server name and client certificate of each connection, and its requests.
 */
async function secured(certificate: TestCertificate, options: ServerOptions = {}) {
  const names: unknown[] = [];
  const clients: string[] = [];
  let requests = 0;
  const server = createServer(
    { cert: certPem(certificate), key: keyPem(certificate), ...options },
    (_request, response) => {
      requests++;
      response.end("secret");
    },
  );
  server.on("secureConnection", (socket: TLSSocket) => {
    names.push(socket.servername);
    const { subject } = socket.getPeerCertificate() as Partial<PeerCertificate>;
    clients.push(String(subject?.CN));
  });
  server.on("tlsClientError", () => {});
  return { server, port: await listening(server), names, clients, requests: () => requests };
}

/** A configuration for one endpoint. */
const shop = (stable: string | readonly string[], tls: string, more = "") =>
  shopYaml({ stable, service: `tls: { ${tls} }${more}` });

const trusting = `ca: ${certFile("authority")}`;

/** Has this server accept WebSockets and send every message back. */
function echoing(server: Server): void {
  const sockets = new WebSocketServer({ server });
  sockets.on("connection", (socket) => socket.on("message", (data, binary) => socket.send(data, { binary })));
  freeAfterTest(async () => {
    for (const client of sockets.clients) client.terminate();
  });
}

async function visit(origin: string): Promise<readonly [number, string | null, string]> {
  const response = await fetch(origin, { headers: { host: "elsewhere.example" } });
  return [response.status, response.headers.get("x-perch-error"), await response.text()];
}

describe("an https endpoint", () => {
  it("is known by its origin, for any Host of clients, on one connection", async () => {
    trustByDefault();
    const { port, names } = await secured("shop");
    const { origin } = await perch(shopAt(`https://localhost:${port}`));
    const agent = new Agent({ keepAlive: true });
    freeAfterTest(async () => agent.destroy());
    for (const host of ["elsewhere.example", "localhost", "third.example"]) {
      const [response] = await once(get(origin, { agent, headers: { host } }), "response");
      await once(response.resume(), "end");
      expect(response.statusCode).toBe(200);
    }
    expect(names).toEqual(["localhost"]);
  });

  it("is sent nothing where the system does not trust its certificate", async () => {
    const { port } = await secured("shop");
    const { origin } = await perch(shopAt(`https://localhost:${port}`));
    expect((await visit(origin)).slice(0, 2)).toEqual([502, "tls-failed"]);
  });

  it("is verified with `ca`", async () => {
    const { port, names } = await secured("shop");
    const { origin } = await perch(shop(`https://localhost:${port}`, trusting));
    expect(await visit(origin)).toEqual([200, null, "secret"]);
    expect(names).toEqual(["localhost"]);
  });

  it("is verified by `serverName` in place of its address", async () => {
    const { port, names } = await secured("shop");
    const { origin } = await perch(shop(`https://127.0.0.1:${port}`, `${trusting}, serverName: shop.example`));
    expect(await visit(origin)).toEqual([200, null, "secret"]);
    expect(names).toEqual(["shop.example"]);
  });

  it("by DNS is verified by the name, not by the address", async () => {
    const { port, names } = await secured("wildcard");
    const server = await TestDnsServer.start({ "shop.example.org": { A: ["127.0.0.1"] } });
    const endpoint = `{ dns: shop.example.org, port: ${port}, scheme: https }`;
    const { origin } = await perch(`dns: { servers: ["${server.address}"] }\n${shop(endpoint, trusting)}`);
    expect(await visit(origin)).toEqual([200, null, "secret"]);
    expect(names).toEqual(["shop.example.org"]);
  });

  it("is shown the client certificate `cert`", async () => {
    const mutual = { requestCert: true, rejectUnauthorized: true, ca: certPem("authority") };
    const { port, clients } = await secured("shop", mutual);
    const client = `, cert: ${certFile("client")}, key: ${keyFile("client")}`;
    const { origin } = await perch(shop(`https://localhost:${port}`, trusting + client));
    expect(await visit(origin)).toEqual([200, null, "secret"]);
    expect(clients).toEqual(["ada"]);
  });

  it("is not verified with `insecureSkipVerify`", async () => {
    const { port } = await secured("expired");
    const { origin } = await perch(shop(`https://localhost:${port}`, "insecureSkipVerify: true"));
    expect(await visit(origin)).toEqual([200, null, "secret"]);
  });

  it.each<[string, TestCertificate, string, string]>([
    ["of an unknown authority", "shop", "", "UNABLE_TO_VERIFY_LEAF_SIGNATURE"],
    ["of another authority than `ca`", "shop", `ca: ${certFile("other-authority")}`, "UNABLE_TO_VERIFY_LEAF_SIGNATURE"],
    ["for another name", "wildcard", trusting, "ERR_TLS_CERT_ALTNAME_INVALID"],
    [
      "for another name than `serverName`",
      "shop",
      `${trusting}, serverName: other.example`,
      "ERR_TLS_CERT_ALTNAME_INVALID",
    ],
    ["that has expired", "expired", trusting, "CERT_HAS_EXPIRED"],
  ])(
    "with a certificate %s is sent nothing: 502, with the cause in the log",
    async (_sentence, certificate, tls, cause) => {
      const { port, names } = await secured(certificate);
      const { origin, metric, log } = await loggedPerch(shop(`https://localhost:${port}`, tls));
      const [status, error, body] = await visit(origin);
      expect([status, error]).toEqual([502, "tls-failed"]);
      expect(body).not.toContain(cause);
      expect(body).not.toContain(`${port}`);
      expect(await metric(upstreamErrors("tls-failed"))).toBe(1);
      expect(await metric(upstreamErrors("connect-failed"))).toBe(0);
      expect(names.length).toBeLessThanOrEqual(1);
      expect(await log()).toMatchObject([{ status: 502, error: "tls-failed", cause }]);
    },
  );

  it("without TLS has another error than one that refuses connections", async () => {
    const plain = await rawUpstream((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
    const speaking = await loggedPerch(shop(`https://127.0.0.1:${plain.port}`, trusting));
    expect((await visit(speaking.origin)).slice(0, 2)).toEqual([502, "tls-failed"]);
    const silent = await loggedPerch(shop((await refusedOrigin()).replace("http:", "https:"), trusting));
    expect((await visit(silent.origin)).slice(0, 2)).toEqual([502, "connect-failed"]);
    expect(await silent.log()).toMatchObject([{ error: "connect-failed", cause: "ECONNREFUSED" }]);
  });

  it("with an invalid certificate is passed over for another", async () => {
    const bad = await secured("expired");
    const good = await secured("shop");
    const both = [bad, good].map(({ port }) => `https://localhost:${port}`);
    const { origin } = await perch(shop(both, trusting, ", balance: round-robin"));
    for (let at = 0; at < 4; at++) expect((await visit(origin))[0]).toBe(200);
  });
});

describe("a reload", () => {
  it("replaces connections where it changes tls, and keeps them where not", async () => {
    const { port, names } = await secured("shop");
    const at = (tls: string, more = "") => freePorts + more + shop(`https://localhost:${port}`, tls);
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
      freePorts + shop(`https://localhost:${port}`, `ca: ${ca}`),
    );
    expect((await visit(started.origin)).slice(0, 2)).toEqual([502, "tls-failed"]);
    await reloadedBy(() => copyFile(certFile("authority"), ca));
    await expect.poll(async () => (await visit(started.origin))[0], { timeout: 5_000 }).toBe(200);
  });
});

describe("HTTP/2 to an https endpoint", () => {
  it("is spoken by ALPN, and the endpoint verified by its name", async () => {
    trustByDefault();
    const stable = await h2Upstream(undefined, { cert: certPem("shop"), key: keyPem("shop") });
    const { client } = await h2cPerch(
      shopYaml({ stable: `https://localhost:${stable.port}`, service: "protocol: http2" }),
    );
    expect((await client.get({ authority: "elsewhere.example" })).status).toBe(200);
    const head = [":method", "GET", ":scheme", "https", ":authority", "elsewhere.example"];
    expect(stable.seen[0]?.raw.slice(0, 6)).toEqual(head);
  });

  it("is not spoken where the system does not trust the certificate", async () => {
    const stable = await h2Upstream(undefined, { cert: certPem("shop"), key: keyPem("shop") });
    const { client } = await h2cPerch(
      shopYaml({ stable: `https://localhost:${stable.port}`, service: "protocol: http2" }),
    );
    const answer = await client.get();
    expect([answer.status, answer.headers["x-perch-error"], stable.seen.length]).toEqual([502, "tls-failed", 0]);
  });

  it("is not spoken to an endpoint of HTTP/1.1, which is sent nothing", async () => {
    trustByDefault();
    const { port, requests } = await secured("shop");
    const { client } = await h2cPerch(shopYaml({ stable: `https://localhost:${port}`, service: "protocol: http2" }));
    const answer = await client.get();
    expect([answer.status, answer.headers["x-perch-error"], requests()]).toEqual([502, "tls-failed", 0]);
  });

  const http2 = ", protocol: http2";

  it("is verified in the same way", async () => {
    const { port } = await h2Upstream(undefined, { cert: certPem("shop"), key: keyPem("shop") });
    const { origin } = await perch(shop(`https://127.0.0.1:${port}`, `${trusting}, serverName: shop.example`, http2));
    expect((await visit(origin))[0]).toBe(200);
  });

  it("is not spoken where the certificate is not trusted", async () => {
    const { port } = await h2Upstream(undefined, { cert: certPem("shop"), key: keyPem("shop") });
    const { origin, log } = await loggedPerch(
      shop(`https://127.0.0.1:${port}`, `ca: ${certFile("other-authority")}`, http2),
    );
    expect((await visit(origin)).slice(0, 2)).toEqual([502, "tls-failed"]);
    expect(await log()).toMatchObject([{ cause: "UNABLE_TO_VERIFY_LEAF_SIGNATURE" }]);
  });
});

describe("a WebSocket to an https endpoint", () => {
  it("is verified by the endpoint's name, for any Host of the client", async () => {
    trustByDefault();
    const { server, port, names } = await secured("shop");
    echoing(server);
    const started = await perchTo([`https://localhost:${port}`]);
    const client = new WebSocket(`ws://127.0.0.1:${started.port}/`, { headers: { host: "elsewhere.example" } });
    await once(client, "open");
    client.send("hello");
    expect(String((await once(client, "message"))[0])).toBe("hello");
    expect(names).toEqual(["localhost"]);
    client.close();
    expect(await started.outcomes(1)).toMatchObject([{ status: 101, host: "elsewhere.example" }]);
  });

  it("is not made where the system does not trust the certificate", async () => {
    const { port } = await secured("shop");
    const started = await perchTo([`https://localhost:${port}`]);
    const client = await sent(started.port, upgradeHead());
    expect(await client.read()).toContain("\r\nx-perch-error: tls-failed\r\n");
    expect(await started.outcomes(1)).toMatchObject([{ status: 502, error: "tls-failed" }]);
  });

  it("is given up at the connect timeout where the TLS handshake gets no response", { tags: ["slow"] }, async () => {
    const silent = await rawUpstream(() => {});
    const started = await perchTo([`https://127.0.0.1:${silent.port}`]);
    const client = await sent(started.port, upgradeHead());
    expect(await client.read()).toContain("\r\nx-perch-error: connect-timeout\r\n");
    expect(await started.outcomes(1)).toMatchObject([{ status: 504, error: "connect-timeout" }]);
  });

  it("is verified in the same way", async () => {
    const { server, port, names } = await secured("shop");
    echoing(server);
    const started = await perch(shop(`https://127.0.0.1:${port}`, `${trusting}, serverName: shop.example`));
    const client = new WebSocket(`ws://127.0.0.1:${started.port}/`);
    await once(client, "open");
    expect(names).toEqual(["shop.example"]);
    client.terminate();
  });

  it("is not made where the certificate is not trusted", async () => {
    const { port } = await secured("shop");
    const { port: at, log } = await loggedPerch(
      shop(`https://localhost:${port}`, `ca: ${certFile("other-authority")}`),
    );
    const client = await sent(at, upgradeHead());
    expect(await client.read()).toContain("\r\nx-perch-error: tls-failed\r\n");
    expect(await log()).toMatchObject([{ error: "tls-failed", cause: "UNABLE_TO_VERIFY_LEAF_SIGNATURE" }]);
  });
});
