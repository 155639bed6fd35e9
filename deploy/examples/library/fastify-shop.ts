import { fileURLToPath } from "node:url";
import { type FastifyInstance, fastify } from "fastify";
// In your application: from "perch-proxy/fastify" and from "perch-proxy".
import { release } from "../../../src/adapters/fastify.ts";
import { createEngine, type Engine } from "../../../src/index.ts";
import { priceFor } from "./prices.ts";

export function fastifyShop(engine: Engine, nextService?: string): FastifyInstance {
  const app = fastify();
  app.register(release, { engine });
  app.get<{ Querystring: { items: string } }>("/price", async (request) =>
    priceFor(request.release.served, Number(request.query.items)),
  );
  app.get("/order", async (request) => {
    // The next service follows the decision made here.
    const answer = await fetch(nextService ?? "", { headers: request.release.propagate });
    return { here: request.release.served, there: await answer.json() };
  });
  return app;
}

if (import.meta.main) {
  const engine = createEngine({ file: fileURLToPath(new URL("perch.yaml", import.meta.url)) });
  process.on("SIGHUP", () => engine.reload());
  await fastifyShop(engine).listen({ port: 3000 });
  console.info("http://127.0.0.1:3000/price?items=3");
}
