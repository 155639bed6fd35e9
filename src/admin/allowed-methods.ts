import type { FastifyInstance } from "fastify";

/** What can be done at a path, of the routes that are added from now on; at a path without any: reading. */
export function allowedMethods(server: FastifyInstance): (path: string) => readonly string[] {
  const routes: { readonly pattern: RegExp; readonly methods: readonly string[] }[] = [];
  server.addHook("onRoute", ({ url, method }) => {
    const pattern = new RegExp(`^${url.replace(/[.]/g, "\\.").replace(/:\w+/g, "[^/]+").replace("*", ".*")}$`);
    routes.push({ pattern, methods: [method].flat() });
  });
  return (path) => {
    const found = routes.flatMap(({ pattern, methods }) => (pattern.test(path) ? methods : []));
    return found.length === 0 ? ["GET", "HEAD"] : [...new Set(found)];
  };
}
