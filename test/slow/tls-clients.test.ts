import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, test, vi } from "vitest";
import { freeAfterTest, rawClient } from "../kit/freed.ts";
import { certFile, keyFile } from "../kit/pki.ts";
import { temporaryFolder } from "../kit/served.ts";
import { shopTls, tlsListener, tlsPerch } from "../kit/tls-perch.ts";
import { freePort } from "../kit/upstream.ts";

/** Also one that cannot start, for want of a library. */
const isMissing = (program: string, ...args: string[]) => spawnSync(program, args).status !== 0;

interface Outcome {
  readonly code: number | null;
  readonly output: string;
}

/** Runs a program with an empty input; its stdout and stderr. */
function run(program: string, args: readonly string[]): Promise<Outcome> {
  const child: ChildProcess = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding("latin1").on("data", (text: string) => (output += text));
  child.stdin?.end("Q\n");
  const { promise, resolve } = Promise.withResolvers<Outcome>();
  child.on("close", (code) => resolve({ code, output }));
  return promise;
}

const failures = (cause: string) => `perch_tls_handshake_failures_total{listener="web",cause="${cause}"}`;

describe.skipIf(isMissing("curl", "--version"))("curl", () => {
  const resolve = (port: number) => [
    "-sS",
    "-m",
    "5",
    "--resolve",
    `shop.example:${port}:127.0.0.1`,
    "--cacert",
    certFile("authority"),
  ];
  const url = (port: number) => `https://shop.example:${port}/`;

  it("is served over supported TLS versions, and refused over others", async () => {
    const { perch } = await tlsPerch(shopTls);
    const versions = [["--tlsv1.2", "--tls-max", "1.2"], ["--tlsv1.3"], ["--http1.1"]];
    for (const version of versions) {
      const { output } = await run("curl", [...resolve(perch.port), ...version, url(perch.port)]);
      expect(output).toBe("hello from stable\n");
    }
    const { code } = await run("curl", [...resolve(perch.port), "--tlsv1.1", "--tls-max", "1.1", url(perch.port)]);
    expect(code).toBe(35);
  });

  it("is served with its certificate only, where clientCa is set", async () => {
    const { perch } = await tlsPerch(`${shopTls}, clientCa: ${certFile("authority")}`);
    const as = (name: "client" | "stranger") => ["--cert", certFile(name), "--key", keyFile(name)];
    expect((await run("curl", [...resolve(perch.port), ...as("client"), url(perch.port)])).output).toBe(
      "hello from stable\n",
    );
    expect((await run("curl", [...resolve(perch.port), ...as("stranger"), url(perch.port)])).code).not.toBe(0);
    expect((await run("curl", [...resolve(perch.port), url(perch.port)])).code).not.toBe(0);
    await expect.poll(() => perch.metric(failures("client-certificate"))).toBe(2);
  });

  it("is counted where it does not trust the certificate", async () => {
    const { perch } = await tlsPerch(shopTls);
    const args = ["-sS", "--resolve", `shop.example:${perch.port}:127.0.0.1`, "--cacert", certFile("other-authority")];
    expect((await run("curl", [...args, "--tls-max", "1.2", url(perch.port)])).code).toBe(60);
    await expect.poll(() => perch.metric(failures("refused-by-client"))).toBe(1);
  });

  it("is trusted with a PROXY header", async () => {
    const listeners = tlsListener(shopTls).replace("{ name: web,", "{ name: web, proxyProtocol: true,");
    const { perch, shop } = await tlsPerch("", "trustedProxies: [127.0.0.0/8]", { listeners });
    const args = [...resolve(perch.port), "--haproxy-protocol", url(perch.port)];
    expect((await run("curl", args)).output).toBe("hello from stable\n");
    expect(shop.seen[0]?.headers["x-forwarded-for"]).toBe("127.0.0.1");
  });

  it("is served over a unix socket", async () => {
    const path = join(await temporaryFolder(), "perch.sock");
    await tlsPerch("", "", { listeners: `{ name: local, address: "unix:${path}" }` });
    expect((await run("curl", ["-sS", "--unix-socket", path, "http://shop.example/"])).output).toBe(
      "hello from stable\n",
    );
  });
});

describe.skipIf(isMissing("openssl", "version"))("openssl s_client", () => {
  test.for(["-tls1_2", "-tls1_3"])("resumes a session, %s", async (version) => {
    const { perch } = await tlsPerch(shopTls);
    const session = join(await temporaryFolder(), "session");
    const base = [
      "s_client",
      "-connect",
      `127.0.0.1:${perch.port}`,
      "-servername",
      "shop.example",
      "-CAfile",
      certFile("authority"),
      version,
    ];
    expect(await visit([...base, "-sess_out", session])).toContain("New, ");
    expect(await visit([...base, "-sess_in", session])).toContain("Reused, ");
  });

  /** Sends a request, since tickets of TLS 1.3 come with the response. */
  function visit(args: readonly string[]): Promise<string> {
    const child = spawn("openssl", [...args, "-ign_eof"], { stdio: ["pipe", "pipe", "pipe"] });
    let output = "";
    child.stdout.setEncoding("latin1").on("data", (text: string) => (output += text));
    child.stdin.write("GET / HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n");
    const { promise, resolve } = Promise.withResolvers<string>();
    child.on("close", () => resolve(output));
    return promise;
  }
});

describe.skipIf(isMissing("haproxy", "-v"))("HAProxy in front", () => {
  test.for([
    ["send-proxy", "203.0.113.7"],
    ["send-proxy-v2", "203.0.113.7"],
    ["send-proxy-v2 proxy-v2-options unique-id,crc32c", "203.0.113.7"],
  ] as const)("forwards the client's address by %s", async ([sends, client]) => {
    const listeners = `{ name: web, address: "127.0.0.1:0", proxyProtocol: true }`;
    const { perch, shop } = await tlsPerch("", "trustedProxies: [127.0.0.0/8]", { listeners });
    const port = await freePort();
    const folder = await temporaryFolder();
    const file = join(folder, "haproxy.cfg");
    writeFileSync(
      file,
      `defaults
  timeout connect 2s
  timeout client 10s
  timeout server 10s
frontend front
  mode tcp
  bind 127.0.0.1:${port} accept-proxy
  default_backend perch
backend perch
  mode tcp
  server perch 127.0.0.1:${perch.port} ${sends} check inter 100ms
`,
    );
    const haproxy = spawn("haproxy", ["-db", "-f", file], { stdio: "ignore" });
    freeAfterTest(async () => haproxy.kill("SIGKILL"));
    const raw = await vi.waitFor(() => rawClient(port), 10_000);
    freeAfterTest(async () => raw.close());
    raw.send(`PROXY TCP4 ${client} 192.0.2.1 40000 80\r\nGET / HTTP/1.1\r\nHost: shop.example\r\n\r\n`);
    await raw.read((received) => received.includes("hello from stable"));
    expect(shop.seen[0]?.headers["x-forwarded-for"]).toBe(client);
    // Its checks (LOCAL) are neither refused nor counted.
    expect(await perch.metric('perch_proxy_protocol_rejections_total{listener="web",cause="malformed"}')).toBe(0);
  });
});

describe("a slow client", () => {
  it("has ten seconds for a handshake, although bytes keep coming", { timeout: 30_000 }, async () => {
    const { perch } = await tlsPerch(shopTls);
    const raw = await rawClient(perch.port);
    const hello = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    let sent = 0;
    // A byte each 500 ms is what is tested.
    const timer = setInterval(() => raw.send(hello[sent++] ?? "\0"), 500);
    const startedMs = performance.now();
    await raw.read();
    clearInterval(timer);
    expect(performance.now() - startedMs).toBeLessThan(15_000);
    await expect.poll(() => perch.metric(failures("timeout"))).toBe(1);
  });

  it("has ten seconds for a PROXY header", { timeout: 30_000 }, async () => {
    const listeners = `{ name: web, address: "127.0.0.1:0", proxyProtocol: true }`;
    const { perch } = await tlsPerch("", "trustedProxies: [127.0.0.0/8]", { listeners });
    const raw = await rawClient(perch.port);
    const header = "PROXY UNKNOWN";
    let sent = 0;
    // A byte each 500 ms is what is tested.
    const timer = setInterval(() => raw.send(header[sent++] ?? " x"), 500);
    const startedMs = performance.now();
    await raw.read();
    clearInterval(timer);
    expect(performance.now() - startedMs).toBeLessThan(15_000);
    expect(await perch.metric('perch_proxy_protocol_rejections_total{listener="web",cause="timeout"}')).toBe(1);
  });
});
