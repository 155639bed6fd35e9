import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { expect, onTestFinished, test, vi } from "vitest";
import { EventStream, type StreamState } from "../../src/dashboard/store/event-stream.ts";

test("a server that takes the request and never answers is lost, as one that falls silent later", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  onTestFinished(() => void server.close());
  await once(server, "listening");
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  onTestFinished(() => void vi.useRealTimers());
  const { promise: lost, resolve } = Promise.withResolvers<StreamState>();
  const stream = new EventStream({
    path: `http://127.0.0.1:${(server.address() as AddressInfo).port}/api/live`,
    onEvent: () => {},
    onState: (state) => state.kind === "lost" && resolve(state),
  });
  onTestFinished(() => stream.close());
  const [socket] = await once(server, "connection");
  onTestFinished(() => void socket.destroy());
  await once(socket, "data");
  vi.advanceTimersByTime(20_000);
  expect(await lost).toEqual({ kind: "lost", why: "silent" });
});
