import { describe, expect, it } from "vitest";
import { rawUpstream } from "../../kit/freed.ts";
import { exchange, shopYaml } from "../../kit/one-service.ts";
import { loggedPerch } from "../../kit/served.ts";
import { perchTo, sent, switchedHead, upgradeHead } from "../../kit/websocket.ts";

const headEnd = "\r\n\r\n";
const key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
const version = "Sec-WebSocket-Version: 13";

async function answering(answer: string) {
  const heads: string[] = [];
  const raw = await rawUpstream((socket, received) => {
    if (!received.includes(headEnd)) return;
    heads.push(received);
    socket.write(answer, "latin1");
  });
  return { ...raw, heads };
}

describe("a handshake", () => {
  it.each([
    ["without a key", upgradeHead().replace(`${key}\r\n`, ""), 400, "invalid-websocket-key"],
    ["with an empty key", upgradeHead().replace(key, "Sec-WebSocket-Key: "), 400, "invalid-websocket-key"],
    [
      "with a key of 15 bytes",
      upgradeHead().replace(key, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j"),
      400,
      "invalid-websocket-key",
    ],
    ["with a key that is no base64", upgradeHead().replace("==", "!!"), 400, "invalid-websocket-key"],
    ["with two keys", upgradeHead([key]), 400, "invalid-websocket-key"],
    ["without a version", upgradeHead().replace(`${version}\r\n`, ""), 400, "missing-websocket-version"],
    ["of version 8", upgradeHead().replace(version, "Sec-WebSocket-Version: 8"), 426, "websocket-version"],
    ["of several versions", upgradeHead([version]), 426, "websocket-version"],
  ])("%s is refused and never reaches the upstream", async (_sentence, bytes, status, cause) => {
    const stable = await answering(switchedHead());
    const perch = await perchTo([stable.origin]);
    const answer = await exchange(perch.port, bytes);
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(answer).toContain(`\r\nConnection: ${status === 426 ? "close, upgrade" : "close"}\r\n`);
    expect(answer.includes("\r\nSec-WebSocket-Version: 13\r\n")).toBe(status === 426);
    expect(stable.heads).toEqual([]);
    expect(await perch.outcomes(1)).toMatchObject([{ status, cause, attempts: 0 }]);
  });
});

describe("a 101", () => {
  const accept = /Sec-WebSocket-Accept: .*\r\n/;
  it.each([
    ["without an accept", switchedHead().replace(accept, ""), "invalid-websocket-accept"],
    [
      "with another key's accept",
      switchedHead().replace(accept, `Sec-WebSocket-Accept: ${"A".repeat(27)}=\r\n`),
      "invalid-websocket-accept",
    ],
    ["with two accepts", switchedHead(["Sec-WebSocket-Accept: x"]), "invalid-websocket-accept"],
    ["for another protocol", switchedHead().replace("websocket", "h2c"), "unasked-upgrade"],
    ["without Upgrade", switchedHead().replace("Upgrade: websocket\r\n", ""), "unasked-upgrade"],
  ])("%s is a 502, and nothing passes", async (_sentence, head, cause) => {
    const stable = await answering(`${head}frames`);
    const perch = await perchTo([stable.origin]);
    const answer = await exchange(perch.port, upgradeHead());
    expect(answer).toMatch(/^HTTP\/1\.1 502 /);
    expect(answer).not.toContain("frames");
    expect(await perch.outcomes(1)).toMatchObject([{ status: 502, error: "upstream-malformed", cause }]);
  });

  it("with the key's accept opens the WebSocket", async () => {
    const stable = await answering(switchedHead());
    const perch = await perchTo([stable.origin]);
    const client = await sent(perch.port, upgradeHead());
    expect(await client.read((received) => received.includes(headEnd))).toMatch(/^HTTP\/1\.1 101 /);
    client.close();
    expect(await perch.outcomes(1)).toMatchObject([{ status: 101 }]);
  });
});

it("another upgrade is not asked for a key", async () => {
  const stable = await answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
  const perch = await loggedPerch(shopYaml({ stable: stable.origin }));
  const head = upgradeHead().replace("websocket", "h2c").replace(`${key}\r\n`, "");
  expect(await exchange(perch.port, head.replace("Connection: Upgrade", "Connection: Upgrade, close"))).toMatch(
    /^HTTP\/1\.1 200 /,
  );
  expect(await perch.log()).toMatchObject([{ status: 200 }]);
});
