import { describe, expect, it } from "vitest";
import { perch, rawClient, rawUpstream } from "../kit/freed.ts";
import { request, sized } from "./lane-case.ts";
import { normalised } from "./view.ts";

/** What clients receive from a Perch that drains: one in the middle of a request, one idle, one new. */
async function drained(fastLane: "on" | "off") {
  const answers: (() => void)[] = [];
  const upstream = await rawUpstream((socket, received) => {
    if (!received.endsWith("\r\n\r\n")) return;
    if (received.includes("/slow")) answers.push(() => socket.write(sized("late")));
    else socket.write(sized("soon"));
  });
  const { app, port } = await perch(`fastLane: ${fastLane}
services: { shop: { versions: { only: { endpoints: ["${upstream.origin}"] } } } }
routes: [{ name: all, service: shop }]`);
  const [idle, busy, unused] = [await rawClient(port), await rawClient(port), await rawClient(port)];
  idle.send(request("GET /"));
  await idle.read((all) => all.endsWith("soon"));
  busy.send(request("GET /slow") + request("GET /behind"));
  await expect.poll(() => answers.length).toBe(1);
  const end = app.drain("test");
  for (const answer of answers) answer();
  const all = await Promise.all([idle.read(), busy.read(), unused.read()]);
  await end;
  return all.map((bytes) => normalised(bytes, { ports: new Map() }));
}

describe("draining", () => {
  it("gives clients the same from both lanes", async () => {
    const standard = await drained("off");
    expect(await drained("on")).toEqual(standard);
    expect(standard[1]).toMatch(/Connection: close[\s\S]*late$/);
    expect(standard[2]).toBe("");
  });
});
