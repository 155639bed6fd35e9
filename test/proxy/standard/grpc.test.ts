/** @module-tag slow */
import { once } from "node:events";
import { Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { describe, expect, it } from "vitest";
import { upstream } from "../../kit/freed.ts";
import { grpcClient, grpcServer, type TextsServer } from "../../kit/grpc.ts";
import { H2Client, h2cPerch } from "../../kit/h2-client.ts";
import { h2Upstream } from "../../kit/h2-upstream.ts";
import { requestsInFlight, shopYaml } from "../../kit/one-service.ts";
import { refusedOrigin } from "../../kit/upstream.ts";

interface Shop {
  readonly canary?: string;
  readonly more?: string;
}

/** Perch in front of a gRPC service. */
async function perchTo(stable: string, { canary = stable, more = "" }: Shop = {}) {
  const service = "protocol: http2, timeouts: { connect: 1s, responseHeaders: 2s, idle: 2s }";
  const route = "match: { path: { prefix: /test.Texts } }";
  const { perch } = await h2cPerch(shopYaml({ stable, canary, service, route, more }));
  const counted = (grpcStatus: number, version = "stable", routed = "all", served = "shop") =>
    perch.metric(
      `perch_grpc_requests_total{route="${routed}",service="${served}",version="${version}",grpc_status="${grpcStatus}"}`,
    );
  return { perch, client: grpcClient(perch.port), counted };
}

interface Ended {
  readonly answer: string | undefined;
  readonly code: number;
  readonly details: string;
  readonly metadata: Metadata | undefined;
}

type Client = ReturnType<typeof grpcClient>;

function unary(client: Client, message: string, metadata = new Metadata(), deadline?: Date): Promise<Ended> {
  const { promise, resolve } = Promise.withResolvers<Ended>();
  client.unary(message, metadata, deadline === undefined ? {} : { deadline }, (error, answer) =>
    resolve({ answer, code: error?.code ?? 0, details: error?.details ?? "", metadata: error?.metadata }),
  );
  return promise;
}

const grpcFields = ["content-type", "application/grpc+proto", "te", "trailers"];
const named = (name: string): TextsServer => ({ unary: (_call, answer) => answer(null, name) });
const metadata = (fields: Record<string, string>) => Metadata.fromHttp2Headers(fields);

describe("a gRPC call through Perch", () => {
  it("may be unary, with metadata both ways", async () => {
    const stable = await grpcServer({
      unary(call, answer) {
        const trailing = new Metadata();
        trailing.set("x-sum", call.metadata.get("x-one").join());
        trailing.set("x-bits-bin", Buffer.from([0, 255]));
        call.sendMetadata(metadata({ "x-first": "1" }));
        answer(null, call.request.toUpperCase(), trailing);
      },
    });
    const { client, counted } = await perchTo(stable);
    const { promise, resolve } = Promise.withResolvers<string | undefined>();
    const call = client.unary("hello", metadata({ "x-one": "2" }), {}, (_error, answer) => resolve(answer));
    const [[first], [end]] = await Promise.all([once(call, "metadata"), once(call, "status")]);
    expect([await promise, first.get("x-first"), end.code]).toEqual(["HELLO", ["1"], status.OK]);
    expect([end.metadata.get("x-sum"), end.metadata.get("x-bits-bin")]).toEqual([["2"], [Buffer.from([0, 255])]]);
    await expect.poll(() => counted(0)).toBe(1);
  });

  it("may stream from the client", async () => {
    const stable = await grpcServer({
      collect(call, answer) {
        const parts: string[] = [];
        call.on("data", (part) => parts.push(part)).on("end", () => answer(null, parts.join("+")));
      },
    });
    const { client } = await perchTo(stable);
    const { promise, resolve } = Promise.withResolvers<string | undefined>();
    const call = client.collect(new Metadata(), {}, (_error, answer) => resolve(answer));
    for (const part of ["a", "b", "c"]) call.write(part);
    call.end();
    expect(await promise).toBe("a+b+c");
  });

  it("may stream from the server, message by message", async () => {
    const { promise: seen, resolve } = Promise.withResolvers<void>();
    const stable = await grpcServer({
      async stream(call) {
        call.write("first");
        await seen;
        call.write("second");
        call.end();
      },
    });
    const { client } = await perchTo(stable);
    const messages: string[] = [];
    const call = client.stream("go", new Metadata());
    call.on("data", (message: string) => {
      messages.push(message);
      resolve();
    });
    const [end] = await once(call, "status");
    expect([messages, end.code]).toEqual([["first", "second"], status.OK]);
  });

  it("may stream both ways, each side waiting for the other", async () => {
    const stable = await grpcServer({
      chat(call) {
        call.on("data", (message) => call.write(`re: ${message}`)).on("end", () => call.end());
      },
    });
    const { client, counted } = await perchTo(stable);
    const call = client.chat(new Metadata());
    for (const message of ["a", "b", "c"]) {
      call.write(message);
      expect((await once(call, "data"))[0]).toBe(`re: ${message}`);
    }
    call.end();
    const [end] = await once(call.resume(), "status");
    expect(end.code).toBe(status.OK);
    await expect.poll(() => counted(0)).toBe(1);
  });

  it("may carry large messages both ways", async () => {
    const stable = await grpcServer({ unary: (call, answer) => answer(null, call.request) });
    const { client } = await perchTo(stable);
    const large = "0123456789".repeat(200_000);
    expect((await unary(client, large)).answer === large).toBe(true);
  });

  it("has its error's status, message and metadata, in trailers", async () => {
    const failure = {
      code: status.FAILED_PRECONDITION,
      details: "not yet: 50 % ✓",
      metadata: metadata({ "x-why": "1" }),
    };
    const stable = await grpcServer({
      unary: (_call, answer) => answer(failure),
      stream(call) {
        call.write("first");
        call.emit("error", failure);
      },
    });
    const { client, counted } = await perchTo(stable);
    const ended = await unary(client, "x");
    expect([ended.code, ended.details, ended.metadata?.get("x-why")]).toEqual([failure.code, failure.details, ["1"]]);
    const call = client.stream("go", new Metadata());
    const [error] = (await once(call.resume(), "error").catch((thrown: unknown) => [thrown])) as [ServiceError];
    expect([error.code, error.details]).toEqual([failure.code, failure.details]);
    await expect.poll(() => counted(status.FAILED_PRECONDITION)).toBe(2);
  });

  it("has a response of trailers only where the upstream has", async () => {
    const fields = { ":status": 200, "content-type": "application/grpc", "grpc-status": "5", "grpc-message": "none" };
    const stable = await h2Upstream((stream) => stream.respond(fields, { endStream: true }));
    const { perch: started, counted } = await perchTo(stable.origin);
    const client = new H2Client(started.origin);
    const answer = await client.get({ method: "POST", path: "/test.Texts/Unary", fields: grpcFields, body: "" });
    expect([answer.headOnly, answer.headers["grpc-status"]]).toEqual([true, "5"]);
    expect(stable.seen[0]?.headers["te"]).toBe("trailers");
    expect(await counted(5)).toBe(1);
  });
});

describe("a gRPC call that ends early", () => {
  it("at its deadline is cancelled at the upstream, which had received the deadline", async () => {
    const { promise: cancelled, resolve } = Promise.withResolvers<void>();
    let timeLeft = 0;
    const stable = await grpcServer({
      unary(call) {
        timeLeft = Number(call.getDeadline()) - Date.now();
        call.on("cancelled", () => resolve());
      },
    });
    const { client, counted } = await perchTo(stable);
    const ended = await unary(client, "x", new Metadata(), new Date(Date.now() + 500));
    expect(ended.code).toBe(status.DEADLINE_EXCEEDED);
    await cancelled;
    expect(timeLeft).toBeLessThanOrEqual(500);
    await expect.poll(() => counted(status.CANCELLED)).toBe(1);
  });

  it("by its client is cancelled at the upstream", async () => {
    const { promise: cancelled, resolve } = Promise.withResolvers<void>();
    const stable = await grpcServer({
      chat(call) {
        call.on("cancelled", () => resolve());
        call.on("data", (message) => call.write(message));
      },
    });
    const { client, counted, perch: started } = await perchTo(stable);
    const call = client.chat(new Metadata());
    call.on("error", () => {});
    call.write("a");
    await once(call, "data");
    call.cancel();
    await cancelled;
    await expect.poll(() => counted(status.CANCELLED)).toBe(1);
    expect(await started.metric(requestsInFlight)).toBe(0);
  });

  it("by its server ends at the client, which still streams", async () => {
    const stable = await grpcServer({
      chat(call) {
        call.once("data", () => call.emit("error", { code: status.RESOURCE_EXHAUSTED, details: "enough" }));
      },
    });
    const { client } = await perchTo(stable);
    const call = client.chat(new Metadata());
    call.write("a");
    const [error] = (await once(call.resume(), "error").catch((thrown: unknown) => [thrown])) as [ServiceError];
    expect([error.code, error.details]).toEqual([status.RESOURCE_EXHAUSTED, "enough"]);
  });
});

describe("a local reply to a gRPC call", () => {
  it.each<[string, number, string, () => Promise<string>]>([
    ["an endpoint that refuses connections", status.UNAVAILABLE, "connect-failed", () => refusedOrigin()],
    ["a slow upstream", status.DEADLINE_EXCEEDED, "upstream-timeout", () => grpcServer({ unary: () => {} })],
    [
      "an upstream that resets",
      status.UNAVAILABLE,
      "upstream-reset",
      async () => (await h2Upstream((stream) => stream.close(2))).origin,
    ],
    ["an upstream without HTTP/2", status.UNAVAILABLE, "connect-failed", async () => (await upstream("one")).origin],
  ])("for %s is a gRPC status, of trailers only", async (_what, code, error, origin) => {
    const { client, counted, perch: started } = await perchTo(await origin());
    const ended = await unary(client, "x");
    expect([ended.code, ended.metadata?.get("x-perch-error")]).toEqual([code, [error]]);
    expect(ended.details).toContain(error);
    expect(await counted(code)).toBe(1);
    const { status: http, headOnly } = await new H2Client(started.origin).get({
      method: "POST",
      path: "/test.Texts/Unary",
      fields: grpcFields,
    });
    expect([http, headOnly]).toEqual([200, true]);
  });

  it("is a gRPC status for a call without a route, and an HTTP status for other requests", async () => {
    const { counted, perch: started } = await perchTo(await grpcServer({}));
    const client = new H2Client(started.origin);
    const call = await client.get({ method: "POST", path: "/none", fields: grpcFields });
    expect([call.headers["grpc-status"], call.headers["x-perch-error"]]).toEqual(["12", "no-route"]);
    const web = await client.get({ path: "/none", fields: ["content-type", "application/grpc-web+proto"] });
    expect([web.status, web.headers["grpc-status"]]).toEqual([404, undefined]);
    expect(await counted(status.UNIMPLEMENTED, "none", "none", "none")).toBe(1);
  });
});

describe("the metadata of a gRPC call", () => {
  it("are attributes of rules and stickiness", async () => {
    const [stable, canary] = await Promise.all([grpcServer(named("stable")), grpcServer(named("canary"))]);
    const more = `
attributes:
  userId: { type: string, from: [{ header: x-user-id }] }
  region: { type: string, from: [{ header: x-region }] }
releases:
  shop:
    sticky: { by: userId }
    rules: [{ name: east, when: { region: east }, use: canary }]
    split: { stable: 50, canary: 50 }`;
    const { client, counted } = await perchTo(stable, { canary, more });
    expect((await unary(client, "x", metadata({ "x-region": "east" }))).answer).toBe("canary");
    const versions = new Set<string>();
    for (let user = 0; user < 20; user++) {
      const answers = await Promise.all([1, 2, 3].map(() => unary(client, "x", metadata({ "x-user-id": `u${user}` }))));
      expect(new Set(answers.map(({ answer }) => answer)).size).toBe(1);
      versions.add(answers[0]?.answer ?? "");
    }
    expect([...versions].sort()).toEqual(["canary", "stable"]);
    expect((await counted(0, "canary")) ?? 0).toBeGreaterThan(3);
  });
});
