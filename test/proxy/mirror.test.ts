/** @module-tag slow */
import { describe, expect, it } from "vitest";
import { mirrorSeed, percentile } from "../../src/decide/draw.ts";
import { attributeUnit } from "../../src/decide/unit.ts";
import { perch, rawClient, rawUpstream, upstream } from "../kit/freed.ts";
import { exchange, lanes, perchIn, upstreamErrors } from "../kit/one-service.ts";
import type { TestPerch } from "../kit/perch.ts";
import { changeablePerch, freePorts, soon } from "../kit/served.ts";
import { refusedOrigin } from "../kit/upstream.ts";

/** A release that serves everyone with stable, and mirrors to canary with these settings. */
const mirrored = (mirror: string, more = "") => `${more}
attributes: { userId: { type: string, from: [{ header: x-user-id }] } }
releases:
  shop:
    sticky: { by: userId }
    override: { header: x-perch-version, allowFrom: [127.0.0.0/8] }
    rules: [{ name: canaries, when: { path: { prefix: /canary } }, use: canary }]
    split: { stable: 100, canary: 0 }
    mirror: { version: canary, ${mirror} }`;

const outcome = (perch: TestPerch, name: string) =>
  perch.metric(`perch_mirror_requests_total{release="shop",version="canary",outcome="${name}"}`);

const get = (path: string, fields = "") => `GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${fields}\r\n`;

describe.each(lanes)("a mirrored request, in the $lane lane", ({ fastLane }) => {
  const perchTo = perchIn(fastLane);

  it("is the request as its own endpoint received it, and one header", async () => {
    const [stable, canary] = [await upstream("stable"), await upstream("canary")];
    const perch = await perchTo(stable.origin, mirrored("percent: 100"), canary.origin);
    const fields = "X-A: 1\r\nCookie: a=b; perch-shop=x\r\nAuthorization: Bearer t\r\nx-perch-mirror: forged\r\n";
    const answer = await exchange(perch.port, get("/x?y=1", fields));
    expect(answer).toContain("x-upstream: stable");
    await expect.poll(() => canary.seen.length, soon).toBe(1);
    const [original, copy] = [stable.seen[0], canary.seen[0]];
    expect(original?.rawHeaders.join("\n")).not.toContain("x-perch-mirror");
    expect(copy?.url).toBe("/x?y=1");
    expect(copy?.rawHeaders).toEqual([...(original?.rawHeaders ?? []), "x-perch-mirror", "canary"]);
    expect(copy?.headers).toMatchObject({ cookie: "a=b", authorization: "Bearer t" });
  });

  it("propagates the mirror's version in place of the assigned one", async () => {
    const [stable, canary] = [await upstream("stable"), await upstream("canary")];
    const mirror = mirrored("percent: 100").replace("sticky:", "propagate: { baggage: true }\n    sticky:");
    const perch = await perchTo(stable.origin, mirror, canary.origin);
    await exchange(perch.port, get("/", "baggage: a=b\r\nx-perch-release: shop=v9\r\n"));
    await expect.poll(() => canary.seen.length, soon).toBe(1);
    const propagated = [stable, canary].map(({ seen }) => [
      seen[0]?.headers["x-perch-release"],
      seen[0]?.headers["baggage"],
    ]);
    expect(propagated).toEqual([
      ["shop=stable", "a=b,perch.shop=stable"],
      ["shop=canary", "a=b,perch.shop=canary"],
    ]);
  });

  it("is counted by its outcome, and in no metric of requests, decisions or endpoints", async () => {
    const stable = await upstream("stable");
    const canary = await upstream("canary", (request, response) => {
      response.writeHead(Number(request.url?.slice(1))).end("!");
    });
    const perch = await perchTo(stable.origin, mirrored("percent: 100"), canary.origin);
    for (const status of [200, 302, 404, 500, 503]) await exchange(perch.port, get(`/${status}`));
    await expect.poll(() => outcome(perch, "5xx"), soon).toBe(2);
    expect(await Promise.all(["2xx", "3xx", "4xx"].map((name) => outcome(perch, name)))).toEqual([1, 1, 1]);
    const text = await (await perch.admin("/metrics")).text();
    expect(text).toContain('perch_mirror_duration_seconds_count{release="shop",version="canary"} 5\n');
    expect(text).toContain(
      'perch_requests_total{route="all",service="shop",version="stable",code="200",method="GET"} 5\n',
    );
    expect(text).not.toMatch(/perch_requests_total\{[^}]*version="canary"/);
    expect(text).not.toMatch(/perch_decisions_total\{[^}]*version="canary"/);
    expect(text).toContain('perch_upstream_ttfb_seconds_count{service="shop",version="canary"} 0\n');
    expect(text).toContain('perch_mirrors_in_flight{release="shop",version="canary"} 0\n');
    expect(text).toContain('perch_fast_lane_handovers_total{cause="mirror-body"} 0\n');
  });

  it("is sent for a share of the units, the same ones each time", async () => {
    const [stable, canary] = [await upstream("stable"), await upstream("canary")];
    const perch = await perchTo(stable.origin, mirrored("percent: 30"), canary.origin);
    const users = Array.from({ length: 60 }, (_, index) => `user-${index}`);
    const seed = mirrorSeed("shop", "");
    const drawn = users.filter((user) => percentile(attributeUnit(user), seed) < 30);
    expect(drawn.length).toBeGreaterThan(5);
    for (const user of users) await exchange(perch.port, get("/", `x-user-id: ${user}\r\n`));
    await expect.poll(() => canary.seen.length, soon).toBe(drawn.length);
    expect(canary.seen.map(({ headers }) => headers["x-user-id"]).sort()).toEqual(drawn.toSorted());
  });

  it.each([
    ["a method that is not in methods", "percent: 100", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", ""],
    ["a request that its version serves itself", "percent: 100", get("/canary"), ""],
    ["a request with an override", "percent: 100", get("/", "x-perch-version: stable\r\n"), ""],
    ["any request at 0 percent", "percent: 0", get("/"), ""],
    [
      "a request that a trusted caller marks as mirrored",
      "percent: 100",
      get("/", "x-perch-mirror: v9\r\n"),
      "trustedProxies: [127.0.0.0/8]",
    ],
  ])("is not sent for %s", async (_what, mirror, request, more) => {
    const [stable, canary] = [await upstream("stable"), await upstream("canary")];
    const perch = await perchTo(stable.origin, mirrored(mirror, more), canary.origin);
    const client = await rawClient(perch.port);
    client.send(request);
    await client.read((all) => all.includes("hello from"));
    client.close();
    // It would be sent before the one of this request, which is mirrored in any case.
    await exchange(perch.port, get("/last", "x-user-id: another\r\n"));
    if (!mirror.includes("percent: 0")) await expect.poll(() => outcome(perch, "2xx"), soon).toBe(1);
    const mirroredRequests = canary.seen.filter(({ headers }) => headers["x-perch-mirror"] === "canary");
    expect(mirroredRequests.map(({ url }) => url)).toEqual(mirror.includes("percent: 0") ? [] : ["/last"]);
  });

  it.each([
    ["of a length", `Content-Length: 200000\r\n\r\n${"x".repeat(200_000)}`],
    ["in chunks", `Transfer-Encoding: chunked\r\n\r\n30d40\r\n${"x".repeat(200_000)}\r\n0\r\n\r\n`],
    ["that is empty", "Content-Length: 0\r\n\r\n"],
  ])("has the whole body %s", async (_what, message) => {
    const [stable, canary] = [await upstream("stable"), await upstream("canary")];
    const perch = await perchTo(stable.origin, mirrored("percent: 100, methods: [POST]"), canary.origin);
    await exchange(perch.port, `POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${message}`);
    await expect.poll(() => canary.seen.length, soon).toBe(1);
    expect(canary.seen[0]?.body).toBe(stable.seen[0]?.body);
    const framing = ["content-length", "transfer-encoding"] as const;
    for (const name of framing) expect(canary.seen[0]?.headers[name]).toBe(stable.seen[0]?.headers[name]);
  });

  it("is aborted, with its reason, rather than sent with a part of the body", async () => {
    const stable = await upstream("stable");
    let received = "";
    const canary = await rawUpstream((_socket, all) => {
      received = all;
    });
    const perch = await perchTo(stable.origin, mirrored("percent: 100, methods: [POST], maxBody: 1KiB"), canary.origin);
    const head = "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n";
    const long = await exchange(perch.port, `${head}Content-Length: 1025\r\n\r\n${"x".repeat(1025)}`);
    expect(long).toContain("x-upstream: stable");
    expect(await outcome(perch, "skipped-body-size")).toBe(1);
    const chunks = `400\r\n${"x".repeat(1024)}\r\n`;
    const client = await rawClient(perch.port);
    client.send(`${head}Transfer-Encoding: chunked\r\n\r\n${chunks}`);
    await expect.poll(() => received, soon).toContain("x".repeat(1024));
    client.send("1\r\nx\r\n0\r\n\r\n");
    expect(await client.read()).toContain("x-upstream: stable");
    expect(await outcome(perch, "abandoned-body-size")).toBe(1);
    await expect.poll(() => canary.sockets[0]?.destroyed, soon).toBe(true);
    expect(received).not.toContain("\r\n0\r\n");
  });

  it("is aborted with its request", async () => {
    const [stable, canary] = [await upstream("stable"), await rawUpstream(() => {})];
    const perch = await perchTo(stable.origin, mirrored("percent: 100, methods: [PUT]"), canary.origin);
    const client = await rawClient(perch.port);
    client.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345");
    await expect.poll(() => canary.sockets.length, soon).toBe(1);
    client.close();
    await expect.poll(() => outcome(perch, "abandoned-request"), soon).toBe(1);
  });

  it("whose upstream takes an upload too slowly does not delay the request, and is aborted", async () => {
    const stable = await upstream("stable");
    const canary = await rawUpstream((socket) => socket.pause());
    const mirror = mirrored("percent: 100, methods: [PUT], maxBody: 64MiB");
    const perch = await perchTo(stable.origin, mirror, canary.origin);
    const length = 16 * 1024 * 1024;
    const client = await rawClient(perch.port);
    client.send(`PUT / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: ${length}\r\n\r\n`);
    client.send("x".repeat(length));
    expect(await client.read()).toContain("x-upstream: stable");
    expect(stable.seen[0]?.body.length).toBe(length);
    expect(await outcome(perch, "abandoned-slow")).toBe(1);
  });

  it("without a response delays no other, and those over maxInFlight are skipped", { tags: ["slow"] }, async () => {
    const [stable, canary] = [await upstream("stable"), await rawUpstream(() => {})];
    const perch = await perchTo(stable.origin, mirrored("percent: 100, maxInFlight: 2"), canary.origin);
    for (let count = 0; count < 5; count++) expect(await exchange(perch.port, get("/"))).toContain("200 OK");
    await expect.poll(() => canary.sockets.length, soon).toBe(2);
    expect(await outcome(perch, "skipped-in-flight")).toBe(3);
    // The service's own timeouts release the permits.
    await expect.poll(() => outcome(perch, "upstream-timeout"), soon).toBe(2);
  });

  it("whose connection is refused does not change the endpoint's health", async () => {
    const stable = await upstream("stable");
    const refused = await refusedOrigin();
    const perch = await perchTo(stable.origin, mirrored("percent: 100"), refused);
    await exchange(perch.port, get("/"));
    await expect.poll(() => outcome(perch, "connect-failed"), soon).toBe(1);
    expect(await perch.metric(`perch_endpoint_up{service="shop",version="canary",endpoint="${refused}"}`)).toBe(1);
    expect(await perch.metric(upstreamErrors("connect-failed", "canary"))).toBe(0);
  });

  it("with an endless response is aborted, counted by its status", async () => {
    const stable = await upstream("stable");
    const canary = await upstream("canary", (_request, response) => {
      const more = () => {
        while (response.write("x".repeat(65_536)));
      };
      response
        .writeHead(201)
        .on("drain", more)
        .on("error", () => {});
      more();
    });
    const perch = await perchTo(stable.origin, mirrored("percent: 100"), canary.origin);
    await exchange(perch.port, get("/"));
    await expect.poll(() => outcome(perch, "2xx"), soon).toBe(1);
  });

  it("delays a drain by a second at most", { tags: ["slow"] }, async () => {
    const [stable, canary] = [await upstream("stable"), await rawUpstream(() => {})];
    const perch = await perchTo(stable.origin, mirrored("percent: 100"), canary.origin);
    await exchange(perch.port, get("/"));
    await expect.poll(() => canary.sockets.length, soon).toBe(1);
    await perch.app.drain("test");
    await perch.stop();
    await expect.poll(() => canary.sockets[0]?.destroyed, soon).toBe(true);
  });
});

describe("a mirror", () => {
  const releases = `
releases: { shop: { split: { stable: 100, canary: 0 }, mirror: { version: canary, percent: 100 } } }`;

  it("is off on a route with `mirror: off`, and for a service without the version", async () => {
    const [stable, canary] = [await upstream("stable"), await upstream("canary")];
    const versions = `stable: { endpoints: ["${stable.origin}"] }`;
    const started = await perch(`
services:
  shop: { versions: { ${versions}, canary: { endpoints: ["${canary.origin}"] } } }
  pages: { versions: { ${versions} } }
${releases}
routes:
  - { name: quiet, match: { path: { prefix: /quiet } }, service: shop, release: shop, mirror: off }
  - { name: pages, match: { path: { prefix: /pages } }, service: pages, release: shop }
  - { name: shop, service: shop, release: shop }`);
    for (const path of ["/quiet", "/pages", "/shop"]) await exchange(started.port, get(path));
    await expect.poll(() => outcome(started, "2xx"), soon).toBe(1);
    expect(canary.seen.map(({ url }) => url)).toEqual(["/shop"]);
    const explain = async (path: string) => {
      const { trail } = (await (await started.admin(`/api/explain?url=http://a${path}`)).json()) as {
        trail: { stage: string; outcome: string; detail: string }[];
      };
      return trail.filter(({ stage }) => stage === "mirror");
    };
    expect(await explain("/quiet")).toEqual([]);
    expect(await explain("/shop")).toEqual([
      {
        stage: "mirror",
        outcome: "copied",
        detail: expect.stringMatching(/^to canary: the unit's draw is \d+\.\d\d, mirrored are draws below 100$/),
      },
    ]);
  });

  it("follows a reload, and its counters go on", async () => {
    const [stable, canary] = [await upstream("stable"), await upstream("canary")];
    const config = (percent: number) => `${freePorts}
services: { shop: { versions: { stable: { endpoints: ["${stable.origin}"] }, canary: { endpoints: ["${canary.origin}"] } } } }
${releases.replace("percent: 100", `percent: ${percent}`)}
routes: [{ name: all, service: shop, release: shop }]`;
    const { perch: started, change } = await changeablePerch(config(100));
    await exchange(started.port, get("/1"));
    await expect.poll(() => outcome(started, "2xx"), soon).toBe(1);
    await change(config(0));
    await exchange(started.port, get("/2"));
    await change(config(100.0));
    await exchange(started.port, get("/3"));
    await expect.poll(() => outcome(started, "2xx"), soon).toBe(2);
    expect(canary.seen.map(({ url }) => url)).toEqual(["/1", "/3"]);
  });
});
