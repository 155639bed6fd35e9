import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { preferences } from "../preferences.ts";
import { sendProblem } from "../problem.ts";
import { indexList } from "./index-list.ts";
import { assetsPath, encodingFor, type LoadPage, type PackedFile, type PackedPage, PageFiles } from "./page-files.ts";

export interface PageOptions {
  readonly load: LoadPage | undefined;
  readonly onFailure: (error: Error) => void;
}

/** The page's own scripts and styles only. Nothing is made of text that could be a script. */
const pagePolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join("; ");

/** The dashboard and its files; for clients that are no browser, the list of what is here. */
export function addPage(server: FastifyInstance, { load = async () => noPage, onFailure }: PageOptions): void {
  const pages = new PageFiles(load);
  const loaded = async (reply: FastifyReply): Promise<PackedPage | undefined> => {
    try {
      return await pages.page();
    } catch (error) {
      onFailure(error instanceof Error ? error : new Error(String(error)));
      sendProblem(
        reply,
        500,
        "no-page",
        "The dashboard's files could not be read; the log says why. In a checkout run npm ci, else install Perch again.",
      );
      return undefined;
    }
  };
  const index = {
    summary: "The dashboard; a list of what is here as text/plain, where Accept does not name text/html",
    answer: { type: "text/html", schema: { type: "string" } },
  };
  server.get("/", { schema: index }, async (request, reply) => {
    reply.header("vary", "accept, accept-encoding");
    if (!wantsHtml(request)) return reply.type("text/plain; charset=utf-8").send(indexList);
    const page = await loaded(reply);
    if (page === undefined) return reply;
    reply.header("content-security-policy", pagePolicy);
    return sendPacked(reply, page.html, encodingFor(request.headers["accept-encoding"], page.html));
  });
  const file = {
    summary: "A file of the dashboard",
    answer: { type: "*/*", description: "its content; 304 without it, where If-None-Match has its ETag" },
    problems: [404],
  };
  const url = `${assetsPath}:file`;
  server.get<{ Params: { readonly file: string } }>(url, { schema: file }, async (request, reply) => {
    const page = await loaded(reply);
    if (page === undefined) return reply;
    const found = page.files.get(`${assetsPath}${request.params.file}`);
    if (found === undefined)
      return sendProblem(reply, 404, "not-found", "No such file of the dashboard; see / for it.");
    const encoding = encodingFor(request.headers["accept-encoding"], found);
    const etag = `"${found.tag}-${encoding}"`;
    reply.headers({ etag, vary: "accept-encoding", "cache-control": "public, max-age=31536000, immutable" });
    if (names(request.headers["if-none-match"], etag)) return reply.code(304).send();
    return sendPacked(reply, found, encoding);
  });
}

function sendPacked(reply: FastifyReply, { type, bodies }: PackedFile, encoding: ReturnType<typeof encodingFor>) {
  if (encoding !== "identity") reply.header("content-encoding", encoding);
  return reply.type(type).send(bodies.get(encoding));
}

/** curl accepts anything, and its user wants to read it. */
function wantsHtml({ headers }: FastifyRequest): boolean {
  return preferences(headers.accept).some(({ value, quality }) => value === "text/html" && quality > 0);
}

/** Whether an If-None-Match names the tag, RFC 9110 §13.1.2. Ours have no commas. */
function names(header: string | undefined, etag: string): boolean {
  const tags = header?.split(",").map((tag) => tag.trim().replace(/^W\//, "")) ?? [];
  return tags.includes(etag) || tags.includes("*");
}

const noPage = {
  html: `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Perch</title>
<h1>Perch</h1>
<p>This server has no dashboard. Its API is described at <a href="/api/openapi.json">/api/openapi.json</a>.
</html>
`,
  files: [],
};
