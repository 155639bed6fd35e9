import type { FastifyInstance } from "fastify";
import type { AdminView } from "../api.ts";
import { sendProblem } from "../problem.ts";
import { refTo } from "../schemas.ts";
import { addDecisions } from "./decisions.ts";
import { addLiveStream, type LiveOptions } from "./live-stream.ts";

/** What the dashboard reads beside what everybody reads. */
export function addLive(server: FastifyInstance, view: AdminView, options: LiveOptions): void {
  const { accessOf } = options;
  const access = { summary: "What the caller may do", answer: { schema: refTo("Access") } };
  server.get("/api/access", { schema: access }, (request) => accessOf(request));
  const history = {
    summary: "What each version of a release did in the last five minutes and in the last hour",
    answer: { schema: refTo("History") },
    problems: [404],
  };
  server.get<{ Params: { readonly release: string } }>(
    "/api/history/:release",
    { schema: history },
    (request, reply) => {
      const { release } = request.params;
      const found = view.live.history(release);
      if (found === undefined) return sendProblem(reply, 404, "no-release", `There is no release ${release}.`);
      // Indented, its thousands of numbers would each have a line of their own.
      return reply.type("application/json; charset=utf-8").send(JSON.stringify(found));
    },
  );
  addLiveStream(server, view, options);
  addDecisions(server, view.live, options);
}
