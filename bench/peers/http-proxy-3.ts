/**
 * The canary work in front of http-proxy-3, at its fastest correct setting: the native path (its fetch path is marked
 * experimental, and took 1.8 times the CPU), a keep-alive agent (without one it sends `Connection: close` on every
 * request), targets parsed once. It sends X-Forwarded-For, -Port, -Proto and -Host by its own `xfwd` option. It has no
 * timeouts by default, and none are set.
 */
import { Agent, createServer, IncomingMessage, ServerResponse } from "node:http";
import { createProxyServer } from "http-proxy-3";
import { type Assignment, announce, assign, count, origins, portOf } from "./canary-work.ts";

/** Carries the assignment from the request to the response's headers without a lookup. */
class CanaryRequest extends IncomingMessage {
  assignment: Assignment | undefined;
}

const proxy = createProxyServer<typeof CanaryRequest, typeof ServerResponse>({
  agent: new Agent({ keepAlive: true }),
  xfwd: true,
});

proxy.on("proxyRes", (answer, request) => {
  if (request.assignment === undefined) return;
  const { version, setCookie } = request.assignment;
  answer.headers["x-served-version"] = version;
  if (setCookie !== undefined) answer.headers["set-cookie"] = [...(answer.headers["set-cookie"] ?? []), setCookie];
});

proxy.on("error", (_error, _request, response) => {
  if (!(response instanceof ServerResponse)) response.destroy();
  else if (response.headersSent) response.destroy();
  else response.writeHead(502).end();
});

const server = createServer({ IncomingMessage: CanaryRequest }, (request, response) => {
  const startedMs = performance.now();
  const assignment = assign(request.headers);
  request.assignment = assignment;
  response.once("finish", () => count(assignment.version, (performance.now() - startedMs) / 1000));
  proxy.web(request, response, { target: origins[assignment.version] });
});
server.listen(0, "127.0.0.1", () => announce(portOf(server.address())));
