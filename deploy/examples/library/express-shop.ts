import { fileURLToPath } from "node:url";
import express, { type Express } from "express";
// In your application: from "perch-proxy/express" and from "perch-proxy".
import { release } from "../../../src/adapters/express.ts";
import { createEngine, type Engine } from "../../../src/index.ts";
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

if (import.meta.main) {
  const engine = createEngine({ file: fileURLToPath(new URL("perch.yaml", import.meta.url)) });
  // The file follows a signal; a watcher of yours would do as well.
  process.on("SIGHUP", () => engine.reload());
  expressShop(engine).listen(3000, () => console.info("http://127.0.0.1:3000/price?items=3"));
}
