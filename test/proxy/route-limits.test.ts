import { describe, expect, it } from "vitest";
import { perch, rawClient, rawUpstream, upstream } from "../kit/freed.ts";
import { exchange, lanes, shopAt, shopYaml, upstreamErrors } from "../kit/one-service.ts";

const close = "Connection: close\r\n";

/** The route `own` with these limits, and one without. */
function config(fastLane: string, stable: string, route: string, more = ""): string {
  const own = `{ name: own, match: { path: { prefix: /own } }, service: shop, ${route} }`;
  return shopAt(stable, `fastLane: ${fastLane}\n${more}`).replace("routes: [", `routes: [${own}, `);
}

describe.each(lanes)("a route's limits in the $lane lane", ({ fastLane }) => {
  it.each([
    ["by its length", "Content-Length: 5\r\n", "hello"],
    ["in chunks", "Transfer-Encoding: chunked\r\n", "3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"],
  ])("maxBodySize, of a body framed %s: 413 on that route only", async (_how, framing, body) => {
    const stable = await upstream("stable");
    const { port } = await perch(config(fastLane, stable.origin, "maxBodySize: 4"));
    const ask = (path: string) => exchange(port, `POST ${path} HTTP/1.1\r\nHost: a\r\n${close}${framing}\r\n${body}`);
    expect(await ask("/own")).toMatch(/^HTTP\/1.1 413 [\s\S]*x-perch-error: body-too-large/);
    expect(await ask("/all")).toMatch(/^HTTP\/1.1 200 /);
  });

  it("maxBodySize may be greater than limits.body", async () => {
    const stable = await upstream("stable");
    const { port } = await perch(config(fastLane, stable.origin, "maxBodySize: 0", "limits: { body: 4 }"));
    const ask = (path: string) =>
      exchange(port, `POST ${path} HTTP/1.1\r\nHost: a\r\n${close}Content-Length: 5\r\n\r\nhello`);
    expect(await ask("/own")).toMatch(/^HTTP\/1.1 200 /);
    expect(await ask("/all")).toMatch(/^HTTP\/1.1 413 /);
  });

  it("timeouts.responseHeaders: 504 before the service's own timeout", { tags: ["slow"] }, async () => {
    const silent = await rawUpstream(() => {});
    const { port } = await perch(config(fastLane, silent.origin, "timeouts: { responseHeaders: 50ms }"));
    const answer = await exchange(port, `GET /own HTTP/1.1\r\nHost: a\r\n${close}\r\n`);
    expect(answer).toMatch(/^HTTP\/1.1 504 [\s\S]*x-perch-error: upstream-timeout/);
  });

  it("timeouts.total: 504 without a response", async () => {
    const silent = await rawUpstream(() => {});
    const { port, metric } = await perch(config(fastLane, silent.origin, "timeouts: { total: 50ms }"));
    const answer = await exchange(port, `GET /own HTTP/1.1\r\nHost: a\r\n${close}\r\n`);
    expect(answer).toMatch(/^HTTP\/1.1 504 [\s\S]*x-perch-error: upstream-timeout/);
    const series = upstreamErrors("upstream-timeout");
    expect(await metric(series)).toBe(1);
  });

  it("timeouts.total: a response that has begun is aborted, although bytes keep coming", async () => {
    const lively = await rawUpstream((socket, received) => {
      if (!received.endsWith("\r\n\r\n")) return;
      socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
      // Far more often than any idle timeout.
      const timer = setInterval(() => socket.write("1\r\nx\r\n"), 10);
      socket.on("close", () => clearInterval(timer));
    });
    const { port } = await perch(config(fastLane, lively.origin, "timeouts: { total: 200ms }"));
    const answer = await exchange(port, `GET /own HTTP/1.1\r\nHost: a\r\n${close}\r\n`);
    expect(answer).toMatch(/^HTTP\/1.1 200 [\s\S]*\r\n1\r\nx\r\n/);
    expect(answer).not.toContain("\r\n0\r\n\r\n");
  });

  it("timeouts.total: 408 where the client's upload takes too long, and no upstream error is counted", {
    tags: ["slow"],
  }, async () => {
    const stable = await upstream("stable");
    const { port, metric } = await perch(config(fastLane, stable.origin, "timeouts: { total: 100ms }"));
    const client = await rawClient(port);
    client.send("POST /own HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello");
    expect(await client.read()).toMatch(/^HTTP\/1.1 408 [\s\S]*x-perch-error: request-timeout/);
    const series = upstreamErrors("upstream-timeout");
    expect(await metric(series)).toBe(0);
  });

  it("timeouts.total of a service", async () => {
    const silent = await rawUpstream(() => {});
    const service = "timeouts: { total: 50ms }";
    const { port } = await perch(shopYaml({ stable: silent.origin, service, more: `fastLane: ${fastLane}` }));
    const answer = await exchange(port, `GET / HTTP/1.1\r\nHost: a\r\n${close}\r\n`);
    expect(answer).toMatch(/^HTTP\/1.1 504 /);
  });

  it("timeouts.total has no effect on requests that end in time, one after another", async () => {
    const stable = await upstream("stable");
    const { port } = await perch(config(fastLane, stable.origin, "timeouts: { total: 5s }"));
    const get = "GET /own HTTP/1.1\r\nHost: a\r\n";
    const answers = await exchange(port, `${get}\r\n${get}\r\n${get}${close}\r\n`);
    expect(answers.match(/HTTP\/1.1 200/g)).toHaveLength(3);
  });
});
