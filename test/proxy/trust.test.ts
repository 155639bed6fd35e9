import { describe, expect, it } from "vitest";
import { perch, upstream } from "../kit/freed.ts";
import type { SeenRequest } from "../kit/upstream.ts";

const fromAnyone = "trustedProxies: []";
const fromProxies = "trustedProxies: [127.0.0.0/8]";

/** What the upstream sees of a request with these fields, from a caller that is trusted or not. */
async function passedOn(trust: string, target: string, headers: Record<string, string>): Promise<SeenRequest> {
  const stable = await upstream("stable");
  const { origin } = await perch(`
${trust}
attributes:
  region: { type: string, from: [{ header: x-user-region, trust: proxies }, { query: region, trust: proxies }] }
  plan: { type: string, from: [{ cookie: plan, trust: proxies }] }
services: { shop: { versions: { stable: { endpoints: ["${stable.origin}"] } } } }
releases: { shop: { rules: [{ name: east, when: { region: east, plan: gold }, use: stable }] } }
routes: [{ name: all, service: shop, release: shop }]`);
  await fetch(origin + target, { headers });
  const [seen] = stable.seen;
  if (seen === undefined) throw new Error("nothing reached the upstream");
  return seen;
}

const spoofed = {
  "x-user-region": "east",
  "x-forwarded-for": "203.0.113.9",
  "x-forwarded-proto": "https",
  "x-forwarded-host": "evil.example",
  "x-forwarded-prefix": "/admin",
  "x-real-ip": "203.0.113.9",
  forwarded: "for=203.0.113.9",
  "x-request-id": "chosen-by-the-client",
  X_User_Region: "east",
  X_Forwarded_For: "10.0.0.1",
  x_request_id: "imitated",
  cookie: "a=1; plan=gold; b=2",
  via: "1.0 front",
};

describe("what a stranger claims", () => {
  it("is not passed on: forwarding headers, request id, and sources reserved to trusted proxies", async () => {
    const { url, headers } = await passedOn(fromAnyone, "/x?a=1&region=east&b=2", spoofed);
    expect(url).toBe("/x?a=1&b=2");
    expect(headers["x-forwarded-for"]).toBe("127.0.0.1");
    expect(headers["x-forwarded-proto"]).toBe("http");
    expect(headers["x-forwarded-host"]).toMatch(/^127\.0\.0\.1:\d+$/);
    expect(headers["x-request-id"]).toMatch(/^[0-9a-f-]{36}$/);
    expect(headers["cookie"]).toBe("a=1; b=2");
    expect(headers["via"]).toBe("1.0 front, 1.1 perch");
    for (const name of [
      "x-user-region",
      "x_user_region",
      "x_forwarded_for",
      "x_request_id",
      "x-forwarded-prefix",
      "x-real-ip",
      "forwarded",
    ])
      expect(headers).not.toHaveProperty(name);
  });

  it("is not passed on when the path's only parameter goes", async () => {
    expect((await passedOn(fromAnyone, "/x?region=east", {})).url).toBe("/x");
  });
});

describe("what a trusted proxy says", () => {
  it("is believed and extended", async () => {
    const { url, headers } = await passedOn(fromProxies, "/x?a=1&region=east", spoofed);
    expect(url).toBe("/x?a=1&region=east");
    expect(headers).toMatchObject({
      "x-user-region": "east",
      "x-forwarded-for": "203.0.113.9, 127.0.0.1",
      "x-forwarded-proto": "https",
      "x-forwarded-host": "evil.example",
      "x-forwarded-prefix": "/admin",
      "x-real-ip": "203.0.113.9",
      "x-request-id": "chosen-by-the-client",
      cookie: "a=1; plan=gold; b=2",
    });
    expect(headers["forwarded"]).toMatch(/^for=203\.0\.113\.9, for=127\.0\.0\.1;host="127\.0\.0\.1:\d+";proto=http$/);
  });

  it("does not include a request id that could harm a log or a header", async () => {
    const { headers } = await passedOn(fromProxies, "/", { "x-request-id": 'a"} {"level":"error' });
    expect(headers["x-request-id"]).toMatch(/^[0-9a-f-]{36}$/);
  });
});
