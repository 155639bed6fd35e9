import { once } from "node:events";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { afterEach, expect, it } from "vitest";
import { testCertificate, testKey } from "../../kit/certificate.ts";
import { freeAfterTest, perch } from "../../kit/freed.ts";
import { H2Client, h2cListener } from "../../kit/h2-client.ts";
import { h2Upstream } from "../../kit/h2-upstream.ts";

const trustedBefore = getCACertificates("default");

afterEach(() => setDefaultCACertificates(trustedBefore));

async function perchTo(endpoint: string) {
  const started = await perch(
    `
services: { shop: { protocol: http2, versions: { stable: { endpoints: ["${endpoint}"] } } } }
routes: [{ name: all, service: shop }]`,
    { listeners: h2cListener },
  );
  return new H2Client(started.origin);
}

const tls = { key: testKey, cert: testCertificate };

it("speaks HTTP/2 to an https endpoint by ALPN, verified by the endpoint's name", async () => {
  setDefaultCACertificates([...trustedBefore, testCertificate]);
  const stable = await h2Upstream(undefined, tls);
  const client = await perchTo(`https://localhost:${stable.port}`);
  expect((await client.get({ authority: "elsewhere.example" })).status).toBe(200);
  expect(stable.seen[0]?.raw.slice(0, 6)).toEqual([
    ":method",
    "GET",
    ":scheme",
    "https",
    ":authority",
    "elsewhere.example",
  ]);
});

it("sends nothing to an https endpoint whose certificate nobody trusts", async () => {
  const stable = await h2Upstream(undefined, tls);
  const client = await perchTo(`https://localhost:${stable.port}`);
  const answer = await client.get();
  expect([answer.status, answer.headers["x-perch-error"], stable.seen.length]).toEqual([502, "tls-failed", 0]);
});

it("sends nothing to an https endpoint that speaks HTTP/1.1 only", async () => {
  setDefaultCACertificates([...trustedBefore, testCertificate]);
  let requests = 0;
  const server = createServer(tls, (_request, response) => {
    requests++;
    response.end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  freeAfterTest(async () => server.close());
  const client = await perchTo(`https://localhost:${(server.address() as AddressInfo).port}`);
  const answer = await client.get();
  expect([answer.status, answer.headers["x-perch-error"], requests]).toEqual([502, "tls-failed", 0]);
});
