import { describe, expect, it } from "vitest";
import { perch, rawClient, rawUpstream, upstream } from "../kit/freed.ts";
import { exchange, lanes, upstreamErrors } from "../kit/one-service.ts";

const close = "Connection: close\r\n";

function config(fastLane: string, stable: string, route: string, more = ""): string {
  return `
fastLane: ${fastLane}
${more}
services: { shop: { versions: { stable: { endpoints: ["${stable}"] } } } }
routes: [{ name: own, match: { path: { prefix: /own } }, service: shop, ${route} }, { name: all, service: shop }]`;
}

describe.each(lanes)("a route's limits in the $lane lane", ({ fastLane }) => {
  it.each([
    ["by its length", "Content-Length: 5\r\n", "hello"],
    ["in chunks", "Transfer-Encoding: chunked\r\n", "3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"],
  ])("maxBodySize, of a body framed %s: 413, and no other route's concern", async (_how, framing, body) => {
    const stable = await upstream("stable");
    const { port } = await perch(config(fastLane, stable.origin, "maxBodySize: 4"));
    const ask = (path: string) => exchange(port, `POST ${path} HTTP/1.1\r\nHost: a\r\n${close}${framing}\r\n${body}`);
    expect(await ask("/own")).toMatch(/^HTTP\/1.1 413 [\s\S]*x-perch-error: body-too-large/);
    expect(await ask("/all")).toMatch(/^HTTP\/1.1 200 /);
  });

  it("maxBodySize may be more than limits.body", async () => {
    const stable = await upstream("stable");
    const { port } = await perch(config(fastLane, stable.origin, "maxBodySize: 0", "limits: { body: 4 }"));
    const ask = (path: string) =>
      exchange(port, `POST ${path} HTTP/1.1\r\nHost: a\r\n${close}Content-Length: 5\r\n\r\nhello`);
    expect(await ask("/own")).toMatch(/^HTTP\/1.1 200 /);
    expect(await ask("/all")).toMatch(/^HTTP\/1.1 413 /);
  });

  it("timeouts.responseHeaders: 504 sooner than the service would", async () => {
    const silent = await rawUpstream(() => {});
    const { port } = await perch(config(fastLane, silent.origin, "timeouts: { responseHeaders: 50ms }"));
    const answer = await exchange(port, `GET /own HTTP/1.1\r\nHost: a\r\n${close}\r\n`);
    expect(answer).toMatch(/^HTTP\/1.1 504 [\s\S]*x-perch-error: upstream-timeout/);
  });

  it("timeouts.total: 504 where nothing was answered", async () => {
    const silent = await rawUpstream(() => {});
    const { port, metric } = await perch(config(fastLane, silent.origin, "timeouts: { total: 50ms }"));
    const answer = await exchange(port, `GET /own HTTP/1.1\r\nHost: a\r\n${close}\r\n`);
    expect(answer).toMatch(/^HTTP\/1.1 504 [\s\S]*x-perch-error: upstream-timeout/);
    const series = upstreamErrors("upstream-timeout");
    expect(await metric(series)).toBe(1);
  });

  it("timeouts.total: cut where the answer had begun, however lively it is", async () => {
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

  it("timeouts.total: 408 where the client's own upload takes too long, and no endpoint is blamed", async () => {
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
    const { port } = await perch(`
fastLane: ${fastLane}
services: { shop: { versions: { stable: { endpoints: ["${silent.origin}"] } }, timeouts: { total: 50ms } } }
routes: [{ name: all, service: shop }]`);
    const answer = await exchange(port, `GET / HTTP/1.1\r\nHost: a\r\n${close}\r\n`);
    expect(answer).toMatch(/^HTTP\/1.1 504 /);
  });

  it("timeouts.total leaves alone what ends in time, request after request", async () => {
    const stable = await upstream("stable");
    const { port } = await perch(config(fastLane, stable.origin, "timeouts: { total: 5s }"));
    const get = "GET /own HTTP/1.1\r\nHost: a\r\n";
    const answers = await exchange(port, `${get}\r\n${get}\r\n${get}${close}\r\n`);
    expect(answers.match(/HTTP\/1.1 200/g)).toHaveLength(3);
  });
});
