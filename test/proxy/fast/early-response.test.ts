import type { Socket } from "node:net";
import { describe, expect, it } from "vitest";
import { rawClient, rawUpstream } from "../../kit/freed.ts";
import { perchIn, requestsTotal, upstreamErrors } from "../../kit/one-service.ts";
import type { RawClient } from "../../kit/raw-client.ts";

const head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 20000\r\n\r\n";
const piece = "x".repeat(10_000);
const refusal = "HTTP/1.1 413 Payload Too Large\r\nConnection: close\r\n";
const reason = "too large, says the app";

/** Perch, and an upstream that answers the first bytes of an upload and resets the connection at once. */
async function refusing(answer: string, fastLane: "on" | "off" = "on") {
  let client: RawClient | undefined;
  const stable = await rawUpstream((socket: Socket) => {
    // Perch reads the next piece, and fails to write it, before it can read the answer.
    client?.send(piece);
    socket.write(answer);
    socket.resetAndDestroy();
  });
  const perch = await perchIn(fastLane)(stable.origin);
  client = await rawClient(perch.port);
  // The standard lane sends the head with the first bytes of the body.
  client.send(fastLane === "on" ? head : `${head}x`);
  return { client, perch };
}

describe("a response that came before the end of the upload, with a reset behind it", () => {
  it.each([
    ["by its length", `${refusal}Content-Length: 23\r\n\r\n${reason}`, reason],
    ["by chunks", `${refusal}Transfer-Encoding: chunked\r\n\r\n17\r\n${reason}\r\n0\r\n\r\n`, "0\r\n\r\n"],
    ["without a body", "HTTP/1.1 204 No Content\r\n\r\n", "\r\n\r\n"],
    ["of 40,000 bytes", `${refusal}Content-Length: 40000\r\n\r\n${"y".repeat(39_999)}z`, "z"],
    ["behind a 100", `HTTP/1.1 100 Continue\r\n\r\n${refusal}Content-Length: 23\r\n\r\n${reason}`, reason],
  ])("whole %s: delivered, also where the write failed first", async (_framing, answer, end) => {
    const { client, perch } = await refusing(answer);
    const all = await client.read((received) => received.endsWith(end));
    const status = /HTTP\/1\.1 (413|204)/.exec(answer)?.[1] ?? "";
    expect(all).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(all.endsWith(end)).toBe(true);
    client.send(piece);
    await expect.poll(() => perch.metric(requestsTotal(status, "stable", "POST"))).toBe(1);
    expect((await perch.metric(upstreamErrors("upstream-reset"))) ?? 0).toBe(0);
  });

  it.each([
    ["until the close", `${refusal}\r\n${reason}`, "on"],
    ["until the close", `${refusal}\r\n${reason}`, "off"],
    ["short of its length", `${refusal}Content-Length: 24\r\n\r\n${reason}`, "on"],
    ["short of its last chunk", `${refusal}Transfer-Encoding: chunked\r\n\r\n17\r\n${reason}\r\n`, "on"],
  ] as const)("%s: cut, and never complete", async (_framing, answer, fastLane) => {
    const { client, perch } = await refusing(answer, fastLane);
    const all = await client.read();
    expect(all).toMatch(/^HTTP\/1\.1 413 /);
    expect(all).not.toContain("\r\n0\r\n");
    expect(await perch.metric(upstreamErrors("upstream-reset"))).toBe(1);
  });

  it.each([
    ["no bytes", ""],
    ["half a head", "HTTP/1.1 413 Payload"],
    ["an interim response alone", "HTTP/1.1 100 Continue\r\n\r\n"],
  ])("%s: 502, once", async (_what, answer) => {
    const { client, perch } = await refusing(answer);
    const all = await client.read((received) => received.includes("x-perch-error"));
    expect(all).toMatch(/^HTTP\/1\.1 502 Bad Gateway\r\n/);
    expect(all).toContain("x-perch-error: upstream-reset");
    expect(await perch.metric(upstreamErrors("upstream-reset"))).toBe(1);
  });
});
