import { describe, expect, it } from "vitest";
import { perch, rawClient, upstream } from "../kit/freed.ts";
import { exchange, lanes, requestsTotal, shopYaml } from "../kit/one-service.ts";
import { loggedPerch } from "../kit/served.ts";

function config(fastLane: string, stable: string, fault: string): string {
  const more = `fastLane: ${fastLane}\nattributes: { userId: { type: string, from: [{ header: x-user }] } }`;
  const release = "sticky: { by: userId }, split: { stable: 1 }";
  return shopYaml({ stable, release, route: `fault: ${fault}`, more });
}

const get = (fields = "") => `GET / HTTP/1.1\r\nHost: a\r\n${fields}\r\n`;
const close = "Connection: close\r\n";

describe.each(lanes)("faults in the $lane lane", ({ fastLane }) => {
  it("abort: answered with the status, reported as a fault, and not forwarded", async () => {
    const stable = await upstream("stable");
    const { port, metric, log } = await loggedPerch(config(fastLane, stable.origin, "{ abort: { status: 418 } }"));
    const answers = await exchange(port, get() + get(close));
    expect(answers.match(/HTTP\/1.1 418 /g)).toHaveLength(2);
    expect(answers).toContain("x-perch-error: fault\r\n");
    expect(answers).not.toContain("Set-Cookie");
    expect(stable.seen).toEqual([]);
    expect(await metric('perch_faults_total{route="all",kind="abort"}')).toBe(2);
    expect(await metric('perch_faults_total{route="all",kind="delay"}')).toBe(0);
    const series = 'route="all",service="shop",version="none",code="418",method="GET"';
    expect(await metric(`perch_requests_total{${series}}`)).toBe(2);
    expect(await log()).toMatchObject([{ error: "fault", fault: "abort", status: 418 }, {}]);
  });

  it("delay: forwarded after the delay, and reported in the log", async () => {
    const stable = await upstream("stable");
    const fault = "{ delay: { for: 150ms } }";
    const { port, metric, log } = await loggedPerch(config(fastLane, stable.origin, fault));
    const body = "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    const answers = await exchange(port, `POST / HTTP/1.1\r\nHost: a\r\n${body}${get(close)}`);
    expect(answers.match(/HTTP\/1.1 200 /g)).toHaveLength(2);
    expect(stable.seen.map((seen) => seen.body)).toEqual(["hello", ""]);
    expect(await metric('perch_faults_total{route="all",kind="delay"}')).toBe(2);
    const [first] = await log();
    expect(first).toMatchObject({ fault: "delay", status: 200 });
    expect(Number(first?.["durationMs"])).toBeGreaterThanOrEqual(145);
  });

  it("delay: a body that comes during the delay arrives whole", async () => {
    const stable = await upstream("stable");
    const { port } = await perch(config(fastLane, stable.origin, "{ delay: { for: 150ms } }"));
    const client = await rawClient(port);
    const size = 300_000;
    client.send(`PUT / HTTP/1.1\r\nHost: a\r\n${close}Content-Length: ${size}\r\n\r\n`);
    client.send("x".repeat(size));
    expect(await client.read()).toMatch(/^HTTP\/1.1 200 /);
    expect(stable.seen[0]?.body.length).toBe(size);
  });

  it("delay: a request whose client leaves is not forwarded", async () => {
    const stable = await upstream("stable");
    const { port, metric } = await perch(config(fastLane, stable.origin, "{ delay: { for: 100ms } }"));
    const client = await rawClient(port);
    client.send(get());
    await expect.poll(() => metric('perch_faults_total{route="all",kind="delay"}')).toBe(1);
    client.close();
    const series = requestsTotal(499);
    await expect.poll(() => metric(series)).toBe(1);
    await exchange(port, get(close));
    expect(stable.seen).toHaveLength(1);
  });

  it("affects a share of the requests that meet the condition", async () => {
    const stable = await upstream("stable");
    const fault = "{ abort: { percent: 50, when: { header: { x-chaos: { exists: true } } } } }";
    const { port } = await perch(config(fastLane, stable.origin, fault));
    const spared = await exchange(port, get().repeat(20) + get(close));
    expect(spared.match(/HTTP\/1.1 200/g)).toHaveLength(21);
    const struck = await exchange(port, get("X-Chaos: 1\r\n").repeat(200) + get(close));
    const count = struck.match(/HTTP\/1.1 503/g)?.length ?? 0;
    // Binomial with n = 200, p = 1/2: over z = 5 once in two million runs.
    expect(count).toBeGreaterThan(64);
    expect(count).toBeLessThan(136);
  });

  it("a percentage in the condition is one of units: the same users each time", async () => {
    const stable = await upstream("stable");
    const { port } = await perch(config(fastLane, stable.origin, "{ abort: { when: { percent: 50 } } }"));
    const users = Array.from({ length: 40 }, (_, user) => get(`X-User: user-${user}\r\n`)).join("");
    const round = async () => (await exchange(port, users + get(close))).match(/HTTP\/1.1 \d+/g)?.slice(0, 40);
    const first = await round();
    expect(await round()).toEqual(first);
    expect(new Set(first)).toEqual(new Set(["HTTP/1.1 200", "HTTP/1.1 503"]));
  });
});

describe("a fault of an upgrade", () => {
  it("delay: holds the handshake", async () => {
    const stable = await upstream("stable");
    const { port, metric } = await perch(config("on", stable.origin, "{ delay: { for: 50ms } }"));
    const upgrade =
      "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";
    expect(await exchange(port, get(upgrade))).toMatch(/^HTTP\/1.1 200 /);
    expect(await metric('perch_faults_total{route="all",kind="delay"}')).toBe(1);
  });
});
