import { createServer } from "node:net";
import { expect, it } from "vitest";
import { canReusePort, claimAlone } from "../../src/workers/worker-count.ts";
import { upstream } from "../kit/freed.ts";

const refusing = (code: string) => () => Promise.reject(Object.assign(new Error(code), { code }));

it.each([
  { sentence: "a system without SO_REUSEPORT is known by ENOTSUP", code: "ENOTSUP", can: false },
  { sentence: "any other failure is for the real listener to tell", code: "EMFILE", can: true },
])("$sentence", async ({ code, can }) => {
  expect(await canReusePort(refusing(code))).toBe(can);
});

it("a port can be shared here", async () => {
  const shared = async () => {
    const server = createServer();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    server.once("error", reject).listen({ host: "127.0.0.1", port: 0, reusePort: true }, resolve);
    await promise.finally(() => server.close());
  };
  const works = await shared().then(
    () => true,
    () => false,
  );
  expect(await canReusePort()).toBe(works);
});

it("a port that another has is not claimed, a free one is and is free after it", async () => {
  const { port } = await upstream("other");
  await expect(claimAlone({ host: "127.0.0.1", port })).rejects.toMatchObject({ code: "EADDRINUSE" });
  await claimAlone({ host: "127.0.0.1", port: 0 });
});
