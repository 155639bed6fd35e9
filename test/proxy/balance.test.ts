import { describe, expect, it } from "vitest";
import { perch, upstream } from "../kit/freed.ts";
import { lanes, shopYaml } from "../kit/one-service.ts";

/** Perch in front of a service with these endpoints; each names itself in `x-upstream`. */
async function balanced(fastLane: string, balance: string, count: number, more = "") {
  const names = Array.from({ length: count }, (_, at) => `endpoint-${at}`);
  const upstreams = await Promise.all(names.map((name) => upstream(name)));
  const stable = upstreams.map(({ origin }) => origin);
  const trusting = `fastLane: ${fastLane}\ntrustedProxies: [127.0.0.0/8]\n${more}`;
  const started = await perch(shopYaml({ stable, service: `balance: ${balance}`, more: trusting }));
  const served = async (headers: Record<string, string> = {}) => {
    const response = await fetch(started.origin, { headers });
    await response.text();
    return response.headers.get("x-upstream") ?? `${response.status}`;
  };
  return { names, upstreams, served };
}

describe.each(lanes)("balancers, in the $lane lane", ({ fastLane }) => {
  it("round-robin: one after the other", async () => {
    const { names, served } = await balanced(fastLane, "round-robin", 3);
    const seen: string[] = [];
    for (let at = 0; at < 9; at++) seen.push(await served());
    for (const name of names) expect(seen.filter((one) => one === name)).toHaveLength(3);
    expect(seen.slice(0, 3)).toEqual(seen.slice(3, 6));
  });

  it("hash: a user stays on one endpoint, from any address", async () => {
    const sticky = `
attributes: { userId: { type: string, from: [{ header: x-user-id }] } }
releases: { shop: { sticky: { by: userId }, split: { stable: 1 } } }`;
    const { served } = await balanced(fastLane, "hash", 4, sticky);
    const homes = new Map<string, string>();
    for (const address of ["192.0.2.1", "192.0.2.2", "2001:db8::7"]) {
      for (let user = 0; user < 12; user++) {
        const headers = { "x-user-id": `user-${user}`, "x-forwarded-for": address };
        const at = await served(headers);
        expect(homes.get(`${user}`) ?? at).toBe(at);
        homes.set(`${user}`, at);
      }
    }
    expect(new Set(homes.values()).size).toBeGreaterThan(1);
  });

  it("hash: without a release a client stays on one endpoint, and only clients of a lost endpoint move", async () => {
    const { upstreams, names, served } = await balanced(fastLane, "hash", 3);
    const clients = Array.from({ length: 12 }, (_, at) => ({ "x-forwarded-for": `198.51.100.${at}` }));
    const before = await Promise.all(clients.map(served));
    expect(await Promise.all(clients.map(served))).toEqual(before);
    expect(new Set(before).size).toBeGreaterThan(1);
    const lost = names.indexOf(before[0] ?? "");
    await upstreams[lost]?.close();
    const after = await Promise.all(clients.map(served));
    for (const [at, home] of before.entries()) {
      if (home === names[lost]) expect(names).toContain(after[at]);
      else expect(after[at]).toBe(home);
    }
    expect(after).not.toContain(names[lost]);
  });

  it("p2c: a slow endpoint gets fewer requests", async () => {
    const slow = await upstream("slow", (_request, response) => {
      // Its latency is what the balancer measures.
      setTimeout(() => response.end(), 150);
    });
    const quick = await upstream("quick");
    const started = await perch(shopYaml({ stable: [slow.origin, quick.origin], more: `fastLane: ${fastLane}` }));
    for (let at = 0; at < 40; at++) await (await fetch(started.origin)).text();
    expect(slow.seen.length).toBeLessThan(10);
    expect(quick.seen.length).toBeGreaterThan(30);
  });

  it("least-in-flight: each request goes to the endpoint with the fewest", async () => {
    const held: (() => void)[] = [];
    const hold = (_request: unknown, response: { end(): void }) => void held.push(() => response.end());
    const upstreams = [await upstream("a", hold), await upstream("b", hold), await upstream("c", hold)];
    const stable = upstreams.map(({ origin }) => origin);
    const service = "balance: least-in-flight";
    const started = await perch(shopYaml({ stable, service, more: `fastLane: ${fastLane}` }));
    const answers: Promise<Response>[] = [];
    for (let at = 1; at <= 6; at++) {
      answers.push(fetch(started.origin));
      await expect.poll(() => held.length).toBe(at);
    }
    expect(upstreams.map(({ seen }) => seen.length)).toEqual([2, 2, 2]);
    for (const end of held) end();
    for (const answer of answers) expect((await answer).status).toBe(200);
  });
});
