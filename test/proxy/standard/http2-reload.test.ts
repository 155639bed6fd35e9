import { expect, it } from "vitest";
import { upstream } from "../../kit/freed.ts";
import { H2Client } from "../../kit/h2-client.ts";
import { h2Upstream } from "../../kit/h2-upstream.ts";
import { changeablePerch } from "../../kit/served.ts";

const config = (endpoint: string, protocol: string, listener: string, more = "") => `
listeners: [{ name: web, address: "127.0.0.1:0"${listener} }]
admin: { address: "127.0.0.1:0" }
services: { shop: { protocol: ${protocol}, versions: { stable: { endpoints: ["${endpoint}"] } } } }
routes: [{ name: all, service: shop }]
${more}`;

it("a reload turns h2c on and off for new connections, and leaves those there are", async () => {
  const { origin } = await upstream("stable");
  const { perch, change } = await changeablePerch(config(origin, "http1", ""));
  expect((await new H2Client(perch.origin).get()).status).toBe(0);
  await change(config(origin, "http1", ", h2c: true"));
  const client = new H2Client(perch.origin);
  expect((await client.get()).status).toBe(200);
  await change(config(origin, "http1", ", h2c: false"));
  expect((await client.get()).status).toBe(200);
  expect((await new H2Client(perch.origin).get()).status).toBe(0);
});

it("a reload changes what is spoken to an endpoint, and limits for the next request", async () => {
  const [one, two] = await Promise.all([upstream("one"), h2Upstream()]);
  const { perch, change } = await changeablePerch(config(two.origin, "http1", ", h2c: true"));
  const client = new H2Client(perch.origin);
  expect((await client.get()).status).toBe(502);
  await change(config(two.origin, "http2", ", h2c: true"));
  expect((await client.get()).status).toBe(200);
  await change(config(one.origin, "http1", ", h2c: true", "limits: { headerCount: 2 }"));
  expect((await client.get()).status).toBe(200);
  expect((await client.get({ fields: ["x-a", "1", "x-b", "2", "x-c", "3"] })).status).toBe(431);
});
