import { execFile, spawnSync } from "node:child_process";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { perch, upstream } from "../kit/freed.ts";
import { h2cListener } from "../kit/h2-client.ts";
import { h2Upstream } from "../kit/h2-upstream.ts";
import { requestsInFlight, requestsTotal } from "../kit/one-service.ts";
import { certFile, certificateYaml } from "../kit/pki.ts";

const run = promisify(execFile);

/** Whether a tool is here and answers; what it is asked with says so of HTTP/2 where it may lack that. */
function has(tool: string, words: RegExp): boolean {
  const { stdout } = spawnSync(tool, ["--version"], { encoding: "utf8" });
  const found = words.test(stdout ?? "");
  if (!found) console.info(`skipped: what needs ${tool}, which is not installed or speaks no HTTP/2`);
  return found;
}

const curl = has("curl", /\bHTTP2\b/);
const nghttp = has("nghttp", /nghttp2/);
const h2load = has("h2load", /nghttp2/);

async function perchTo(origin: string, protocol: "http1" | "http2", listener = h2cListener) {
  return perch(
    `
services: { shop: { protocol: ${protocol}, versions: { stable: { endpoints: ["${origin}"] } } } }
routes: [{ name: all, service: shop }]`,
    { listeners: listener },
  );
}

const http1 = async () => (await upstream("stable", (_request, response, body) => response.end(`got ${body}`))).origin;
const http2 = async () =>
  (
    await h2Upstream((stream) => {
      stream.respond({ ":status": 200 });
      stream.write("got ");
      stream.pipe(stream);
    })
  ).origin;

const upstreams = [
  ["http1", http1],
  ["http2", http2],
] as const;

describe.each(upstreams)("in front of an upstream that speaks %s", (protocol, start) => {
  it.skipIf(!curl)("curl gets its answer with prior knowledge", async () => {
    const { origin } = await perchTo(await start(), protocol);
    const args = ["-sS", "--http2-prior-knowledge", "-d", "a body", "-w", " %{http_version} %{http_code}", origin];
    expect((await run("curl", args)).stdout).toBe("got a body 2 200");
  });

  it.skipIf(!curl)("curl gets it by ALPN", async () => {
    const listener = `{ name: web, address: "127.0.0.1:0", tls: { certificates: [${certificateYaml("shop")}] } }`;
    const { port } = await perchTo(await start(), protocol, listener);
    const url = `https://shop.example:${port}/`;
    const resolve = `shop.example:${port}:127.0.0.1`;
    const args = [
      "-sS",
      "--cacert",
      certFile("authority"),
      "--resolve",
      resolve,
      "-d",
      "x",
      "-w",
      " %{http_version}",
      url,
    ];
    expect((await run("curl", args)).stdout).toBe("got x 2");
  });

  it.skipIf(!nghttp)("nghttp sees no frame that is wrong", async () => {
    const { origin } = await perchTo(await start(), protocol);
    const { stdout } = await run("nghttp", ["-v", origin]);
    expect(stdout).toMatch(/:status: 200/);
    expect(stdout).not.toMatch(/INVALID|error_code=(?!NO_ERROR)/);
  });

  it.skipIf(!h2load)("h2load has every one of 20,000 requests answered", async () => {
    const { origin, metric } = await perchTo(await start(), protocol);
    const { stdout } = await run("h2load", ["-n", "20000", "-c", "10", "-m", "50", origin]);
    expect(stdout).toContain("20000 total, 20000 started, 20000 done, 20000 succeeded, 0 failed, 0 errored, 0 timeout");
    const counted = requestsTotal(200);
    expect(await metric(counted)).toBe(20_000);
    expect(await metric(requestsInFlight)).toBe(0);
  });
});
