import { describe, expect, it } from "vitest";
import { perch, rawClient } from "../kit/freed.ts";
import { shopAt } from "../kit/one-service.ts";

describe("the admin server closes after ten seconds", () => {
  it.each([
    ["a half head", "GET /livez HTTP/1.1\r\nHost: loc"],
    ["nothing at all", ""],
    ["a body that does not come", "GET /livez HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nx"],
  ])("a connection that has sent %s", async (_sentence, sent) => {
    const { adminOrigin } = await perch(shopAt("http://127.0.0.1:9"));
    const client = await rawClient(Number(new URL(adminOrigin).port));
    const sinceMs = performance.now();
    client.send(sent);
    await client.read();
    const tookMs = performance.now() - sinceMs;
    expect(tookMs).toBeGreaterThan(8_000);
    expect(tookMs).toBeLessThan(18_000);
  });
});
