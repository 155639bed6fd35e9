import { describe, expect, it } from "vitest";
import { perch, upstream } from "../kit/freed.ts";
import { lanes } from "../kit/one-service.ts";
import { RawClient } from "../kit/raw-client.ts";

/** What is asked, by which Host and further fields, and the Location that is answered. */
interface Case {
  readonly name: string;
  readonly redirect: string;
  readonly match?: string;
  readonly target?: string;
  readonly host?: string;
  readonly fields?: string;
  readonly location: string;
}

const cases: readonly Case[] = [
  {
    name: "another scheme: the port goes with it",
    redirect: "{ scheme: https }",
    host: "Shop.example:8080",
    target: "/a?b=c",
    location: "https://shop.example/a?b=c",
  },
  {
    name: "another scheme and port",
    redirect: "{ scheme: https, port: 8443 }",
    location: "https://shop.example:8443/",
  },
  {
    name: "a scheme's own port is not written",
    redirect: "{ scheme: https, port: 443 }",
    location: "https://shop.example/",
  },
  {
    name: "another host: scheme and port stay",
    redirect: "{ host: WWW.Example.com }",
    host: "shop.example:8080",
    target: "/a/?x",
    location: "http://www.example.com:8080/a/?x",
  },
  {
    name: "the client's scheme, as a trusted proxy tells it",
    redirect: "{ host: www.example.com }",
    fields: "X-Forwarded-Proto: https\r\n",
    location: "https://www.example.com/",
  },
  {
    name: "an IPv6 host",
    redirect: '{ scheme: https, host: "[2001:DB8::1]" }',
    location: "https://[2001:db8::1]/",
  },
  {
    name: "a whole path, on the same host",
    redirect: "{ path: /new }",
    match: "path: { exact: /old }",
    target: "/old?a=b",
    location: "/new?a=b",
  },
  {
    name: "a prefix, by segment",
    redirect: "{ prefix: /new/ }",
    match: "path: { prefix: /old/ }",
    target: "/old/x/y?z",
    location: "/new/x/y?z",
  },
  {
    name: "the prefix itself",
    redirect: "{ prefix: /new }",
    match: "path: { prefix: /old }",
    target: "/old",
    location: "/new",
  },
  {
    name: "a prefix taken away",
    redirect: "{ prefix: / }",
    match: "path: { prefix: /old }",
    target: "/old",
    location: "/",
  },
  {
    name: "open redirect: a path that browsers would read as a host",
    redirect: "{ prefix: / }",
    match: "path: { prefix: /old }",
    target: "/old//evil.example/x",
    location: "/evil.example/x",
  },
];

function configuration(fastLane: string, stable: string, route: string): string {
  return `
fastLane: ${fastLane}
trustedProxies: [127.0.0.0/8]
services: { shop: { versions: { stable: { endpoints: ["${stable}"] } } } }
routes:
  - ${route}
  - { name: rest, service: shop }`;
}

function location(answer: string): string | undefined {
  return /^Location: (.*)\r$/m.exec(answer)?.[1];
}

describe.each(lanes)("redirects in the $lane lane", ({ fastLane }) => {
  it.each(cases)(
    "$name",
    async ({ redirect, match = "", target = "/", host = "shop.example", fields = "", ...want }) => {
      const stable = await upstream("stable");
      const route = `{ name: moved, match: { ${match} }, redirect: ${redirect} }`;
      const { port } = await perch(configuration(fastLane, stable.origin, route));
      const client = await RawClient.connect(port);
      client.send(`GET ${target} HTTP/1.1\r\nHost: ${host}\r\n${fields}\r\n`);
      const answer = await client.read((received) => received.endsWith("\r\n\r\n"));
      client.close();
      expect(answer).toMatch(/^HTTP\/1.1 302 Found\r\nConnection: keep-alive\r\nContent-Length: 0\r\nLocation: /);
      expect(location(answer)).toBe(want.location);
      expect(answer).not.toContain("x-perch-error");
      expect(stable.seen).toEqual([]);
    },
  );

  it.each([301, 302, 303, 307, 308])(
    "are answered with %i, counted once, and the connection goes on",
    async (status) => {
      const stable = await upstream("stable");
      const route = `{ name: moved, match: { path: { prefix: /old } }, redirect: { path: /new, status: ${status} } }`;
      const { port, metric } = await perch(configuration(fastLane, stable.origin, route));
      const client = await RawClient.connect(port);
      const post = "POST /old HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
      client.send(`${post}GET /x HTTP/1.1\r\nHost: a\r\n\r\n`);
      const answers = await client.read((received) => received.includes("hello from stable"));
      client.close();
      expect(answers).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
      expect(stable.seen.map(({ url }) => url)).toEqual(["/x"]);
      const series = `route="moved",service="none",version="none",code="${status}",method="POST"`;
      expect(await metric(`perch_requests_total{${series}}`)).toBe(1);
      expect(await metric('perch_request_duration_seconds_count{route="moved",service="none",version="none"}')).toBe(1);
    },
  );

  it("end the connection of a client that wants it so, HEAD too", async () => {
    const stable = await upstream("stable");
    const { port } = await perch(configuration(fastLane, stable.origin, "{ name: moved, redirect: { path: /new } }"));
    const client = await RawClient.connect(port);
    client.send("HEAD /old HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    const answer = await client.read();
    expect(answer).toMatch(/^HTTP\/1.1 302 Found\r\nConnection: close\r\n/);
    expect(location(answer)).toBe("/new");
  });

  it("may depend on how the client came", async () => {
    const stable = await upstream("stable");
    const route = "{ name: moved, match: { scheme: http }, redirect: { scheme: https, status: 301 } }";
    const { origin } = await perch(configuration(fastLane, stable.origin, route));
    const asked = (proto: string) =>
      fetch(origin, { redirect: "manual", headers: { "x-forwarded-proto": proto } }).then(({ status }) => status);
    expect([await asked("http"), await asked("https")]).toEqual([301, 200]);
  });

  it("answer an upload that is still coming, and read it to its end", async () => {
    const stable = await upstream("stable");
    const route = "{ name: moved, match: { path: { prefix: /old } }, redirect: { path: /new } }";
    const { port } = await perch(configuration(fastLane, stable.origin, route));
    const client = await RawClient.connect(port);
    client.send("POST /old HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    await client.read((received) => received.includes("Location: /new"));
    client.send("3\r\ndef\r\n0\r\n\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n");
    await client.read((received) => received.includes("hello from stable"));
    client.close();
    expect(stable.seen.map(({ url }) => url)).toEqual(["/x"]);
  });
});

it("a WebSocket's upgrade is answered with a redirect as well", async () => {
  const stable = await upstream("stable");
  const { port } = await perch(configuration("on", stable.origin, "{ name: moved, redirect: { path: /new } }"));
  const client = await RawClient.connect(port);
  client.send("GET /old HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
  expect(location(await client.read())).toBe("/new");
});
