import { type FastifyInstance, fastify } from "fastify";
// In your application: from "perch-proxy/fastify" and from "perch-proxy".
import { release } from "../../../src/adapters/fastify.ts";
import type { Engine } from "../../../src/index.ts";
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
