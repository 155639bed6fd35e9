import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { describe, expect, it } from "vitest";
import { missingNodeInternals } from "../src/app/missing-internals.ts";

/**
 * In a thread of its own, takes an interface away before Perch is loaded, as a later Node may, and returns what is then
 * said to be missing.
 */
async function missingWithout(removal: string): Promise<unknown> {
  const internals = new URL("../src/node-internals.ts", import.meta.url).href;
  const check = new URL("../src/app/missing-internals.ts", import.meta.url).href;
  const script = `
    ${removal}
    const { parentPort } = await import("node:worker_threads");
    const { latin1Slice } = await import(${JSON.stringify(internals)});
    const { missingNodeInternals } = await import(${JSON.stringify(check)});
    const read = latin1Slice(Buffer.from("h\\xe9llo", "latin1"), 1, 3);
    parentPort.postMessage({ missing: await missingNodeInternals(), read });
  `;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(script)}`));
  const [answer] = await once(worker, "message");
  await worker.terminate();
  return answer;
}

/** `net.Socket`, `node:http` and `node:tls` are loaded by the script, so that their prototypes can be changed. */
const removals: readonly (readonly [name: string, removal: string])[] = [
  ["Buffer.latin1Slice", "Buffer.prototype.latin1Slice = undefined;"],
  [
    "net.Socket._handle",
    `const { Server } = await import("node:net");
     const emit = Server.prototype.emit;
     Server.prototype.emit = function (name, socket) {
       if (name === "connection") Object.defineProperty(socket._handle, "useUserBuffer", { value: undefined });
       return emit.apply(this, arguments);
     };`,
  ],
  [
    "socket._httpMessage",
    `const { ServerResponse } = await import("node:http");
     ServerResponse.prototype.assignSocket = () => {};
     ServerResponse.prototype.detachSocket = () => {};`,
  ],
  [
    "http.Server's listening event",
    `const { Server } = await import("node:http");
     const emit = Server.prototype.emit;
     Server.prototype.emit = function (name) {
       return name === "listening" ? false : emit.apply(this, arguments);
     };`,
  ],
  [
    "net.Socket.destroy and push",
    `const { Socket } = await import("node:net");
     const { _write } = Socket.prototype;
     Socket.prototype._write = function (data, encoding, done) {
       return _write.call(this, data, encoding, (error) => (error ? Socket.prototype.destroy.call(this, error) : done()));
     };`,
  ],
  [
    "net.Socket.push, _write and destroy",
    `const { Socket } = await import("node:net");
     const { _write } = Socket.prototype;
     Object.defineProperty(Socket.prototype, "_write", { get: () => _write, set: () => {} });`,
  ],
  [
    "TLSSocket._parent",
    `const { TLSSocket } = await import("node:tls");
     Object.defineProperty(TLSSocket.prototype, "_parent", { get: () => undefined, set: () => {} });`,
  ],
];

describe("Node's undocumented interfaces", () => {
  it("are all there in this version of Node", async () => {
    expect(await missingNodeInternals()).toEqual([]);
  });

  it.each(removals)("%s: its absence is reported with what it costs", async (name, removal) => {
    const { missing, read } = (await missingWithout(removal)) as { missing: string[]; read: string };
    expect(missing.map((line) => line.split(":")[0])).toContain(name);
    expect(read).toBe("él");
  });
});
