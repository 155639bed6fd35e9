import { expect, it } from "vitest";
import { perch, upstream } from "../kit/freed.ts";
import { H2Client } from "../kit/h2-client.ts";
import { certificateYaml, certPem } from "../kit/pki.ts";
import { tlsGet } from "../kit/tls-client.ts";

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
