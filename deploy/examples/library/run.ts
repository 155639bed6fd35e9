import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { createEngine, type Engine } from "../../../src/index.ts";
import { expressShop } from "./express-shop.ts";
import { fastifyShop } from "./fastify-shop.ts";
import { keepCurrent } from "./keep-current.ts";

const frameworks = { express: listenExpress, fastify: listenFastify };

/** Serves the example on `PORT`, 3000 by default, on this machine only. */
export async function serve(framework: string): Promise<void> {
  if (!Object.hasOwn(frameworks, framework)) {
    console.error(`"${framework}" is not one of ${Object.keys(frameworks).join(", ")}`);
    process.exit(2);
  }
  const file = fileURLToPath(new URL("perch.yaml", import.meta.url));
  const engine = createEngine({ file });
  keepCurrent(engine, file);
  const port = await frameworks[framework as keyof typeof frameworks](engine, Number(process.env["PORT"] ?? 3000));
  console.info(`http://127.0.0.1:${port}/price?items=3`);
}

function listenExpress(engine: Engine, port: number): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const server = expressShop(engine).listen(port, "127.0.0.1");
  server.on("listening", () => resolve((server.address() as AddressInfo).port)).on("error", reject);
  return promise;
}

async function listenFastify(engine: Engine, port: number): Promise<number> {
  const shop = fastifyShop(engine);
  await shop.listen({ port, host: "127.0.0.1" });
  return (shop.server.address() as AddressInfo).port;
}
