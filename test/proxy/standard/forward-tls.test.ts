import { once } from "node:events";
import { Agent, get } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { afterEach, expect, it } from "vitest";
import { testCertificate, testKey } from "../../kit/certificate.ts";
import { freeAfterTest, perch } from "../../kit/freed.ts";

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
