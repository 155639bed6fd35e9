import express, { type Express } from "express";
// In your application: from "perch-proxy/express" and from "perch-proxy".
import { release } from "../../../src/adapters/express.ts";
import type { Engine } from "../../../src/index.ts";
import { priceFor } from "./prices.ts";

export function expressShop(engine: Engine, nextService?: string): Express {
  const app = express();
  app.use(release(engine));
  app.get("/price", (request, response) => {
    response.json(priceFor(request.release.served, Number(request.query["items"])));
  });
  app.get("/order", async (request, response) => {
    // The next service follows the decision made here.
    const answer = await fetch(nextService ?? "", { headers: request.release.propagate });
    response.json({ here: request.release.served, there: await answer.json() });
  });
  return app;
}
