import { once } from "node:events";
import { Agent, get } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { afterEach, expect, it } from "vitest";
import { failureOf } from "../../../src/proxy/standard/forward.ts";
import { testCertificate, testKey } from "../../kit/certificate.ts";
import { freeAfterTest, perch } from "../../kit/freed.ts";

/** How an error of undici or of the system is told, before the request was given to a connection and after. */
it.each([
  ["ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED", "sent", "tls-failed"],
  ["ERR_SSL_TLSV1_ALERT_UNKNOWN_CA", "sent", "tls-failed"],
  ["ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE", "sent", "tls-failed"],
  ["ERR_SSL_DECRYPTION_FAILED_OR_BAD_RECORD_MAC", "sent", "upstream-malformed"],
  ["ECONNRESET", "sent", "upstream-reset"],
  ["ECONNREFUSED", "not sent", "connect-failed"],
  ["UND_ERR_CONNECT_TIMEOUT", "not sent", "connect-timeout"],
])("%s of a request that was %s is %s", (code, sent, wanted) => {
  expect(failureOf(Object.assign(new Error("told to nobody"), { code }), sent === "sent")).toBe(wanted);
});

const trustedBefore = getCACertificates("default");

afterEach(() => setDefaultCACertificates(trustedBefore));

/** Perch in front of an https endpoint named `localhost`, and the server name of each connection that it made. */
async function secured() {
  const names: unknown[] = [];
  const server = createServer({ key: testKey, cert: testCertificate }, (_request, response) => response.end("secret"));
  server.on("secureConnection", (socket) => names.push(socket.servername));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  freeAfterTest(async () => server.close());
  const { port } = server.address() as AddressInfo;
  const { origin } = await perch(`
services: { shop: { versions: { stable: { endpoints: ["https://localhost:${port}"] } } } }
routes: [{ name: all, service: shop }]`);
  return { origin, names };
}

async function statusFor(origin: string, host: string, agent: Agent): Promise<unknown> {
  const [response] = await once(get(origin, { agent, headers: { host } }), "response");
  response.resume();
  await once(response, "end");
  return response.statusCode;
}

it("an https endpoint is who its origin says, whatever hosts clients ask for, on one connection", async () => {
  setDefaultCACertificates([...trustedBefore, testCertificate]);
  const { origin, names } = await secured();
  const agent = new Agent({ keepAlive: true });
  freeAfterTest(async () => agent.destroy());
  for (const host of ["elsewhere.example", "localhost", "third.example"]) {
    expect(await statusFor(origin, host, agent)).toBe(200);
  }
  expect(names).toEqual(["localhost"]);
});

it("an https endpoint whose certificate is not trusted is not spoken to", async () => {
  const { origin } = await secured();
  const response = await fetch(origin);
  expect([response.status, response.headers.get("x-perch-error")]).toEqual([502, "tls-failed"]);
});
