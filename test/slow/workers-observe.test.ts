import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { collector } from "../kit/collector.ts";
import { perch, rawClient, rawUpstream, upstream } from "../kit/freed.ts";
import { exchange, shopAt, shopYaml } from "../kit/one-service.ts";
import { servePerch, soon, temporaryFolder } from "../kit/served.ts";

describe("the access log of several workers", () => {
  // Longer than a pipe writes atomically (4096 bytes): every quote becomes two bytes.
  const path = `/${'"'.repeat(2_040)}`;
  const target = (i: number) => `GET ${path}${i} HTTP/1.1\r\nHost: ${"h".repeat(250)}\r\n\r\n`;
  const each = 40;

  async function sendAll(port: number): Promise<void> {
    await Promise.all(
      Array.from({ length: 16 }, async (_, index) => {
        const one = await rawClient(port);
        for (let i = 0; i < each; i++) {
          one.received = "";
          one.send(target(index * each + i));
          await one.read((received) => received.endsWith("\r\n0\r\n\r\n"));
        }
      }),
    );
  }

  const whole = (text: string) => {
    expect(text.endsWith("\n")).toBe(true);
    const lines = text
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as { msg: string; status: number });
    expect(lines.filter(({ msg, status }) => msg === "request" && status === 200)).toHaveLength(16 * each);
    expect(lines).toHaveLength(16 * each);
  };

  it("tears no line on a pipe that is read slowly", async () => {
    const stable = await upstream("stable");
    const started = await servePerch(shopAt(stable.origin, "workers: 2"));
    const { stdout } = started.process.child;
    stdout?.pause();
    await sendAll(started.port);
    stdout?.resume();
    started.process.signal("SIGTERM");
    expect(await started.process.exited).toBe(0);
    whole(started.process.stdout);
  });

  it("tears no line in a file, and is whole once Perch has stopped", async () => {
    const stable = await upstream("stable");
    const file = join(await temporaryFolder(), "access.log");
    const started = await perch(shopAt(stable.origin, "workers: 2"), { accessLogTo: file });
    await sendAll(started.port);
    await started.stop();
    whole(await readFile(file, "utf8"));
  });
});

describe("mirrored requests and spans of several workers", () => {
  it("are counted as of one process, and spans have the instance id of their worker", {
    timeout: 60_000,
  }, async () => {
    const [stable, canary, to] = [await upstream("stable"), await upstream("canary"), await collector()];
    const served = await servePerch(
      shopYaml({
        stable: stable.origin,
        canary: canary.origin,
        release: "split: { stable: 1 }, mirror: { version: canary, percent: 100 }",
        more: `workers: 2
tracing: { sample: 1, otlp: { endpoint: "${to.endpoint}" } }`,
      }),
    );
    const request = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    await Promise.all(Array.from({ length: 30 }, () => exchange(served.port, request)));
    const copies = 'perch_mirror_requests_total{release="shop",version="canary",outcome="2xx"}';
    await expect.poll(() => served.metric(copies), soon).toBe(30);
    await expect.poll(() => served.metric('perch_trace_spans_total{outcome="exported"}'), soon).toBe(60);
    expect([canary.seen.length, to.spans.length]).toEqual([30, 60]);
    expect(new Set(to.spans.map(({ resource }) => resource["service.instance.id"])).size).toBe(2);
  });
});

it("an endpoint that sent unsolicited bytes to one of several workers is logged, counted and shown", async () => {
  const stable = await rawUpstream((socket) => {
    socket.setNoDelay(true);
    socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokmore");
  });
  const served = await servePerch(shopAt(stable.origin, "workers: 2"));
  expect(await exchange(served.port, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")).toMatch(/\r\n\r\nok$/);
  const line = await served.process.logged(
    "upstream endpoint sent bytes that no request asked for; for now each of its connections carries one request",
  );
  expect(line).toMatchObject({ level: "warn", service: "shop", version: "stable", endpoint: stable.origin });
  await expect
    .poll(() => served.metric('perch_unsolicited_responses_total{service="shop",version="stable"}'), soon)
    .toBe(1);
  const { endpoints } = (await (await served.admin("/api/endpoints")).json()) as {
    endpoints: { singleUseUntil: string }[];
  };
  expect(endpoints.map(({ singleUseUntil }) => singleUseUntil)).toEqual([line["singleUseUntil"]]);
});
