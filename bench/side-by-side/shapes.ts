/** The measured shapes of traffic. */
import { routePrefix } from "../micro-config.ts";
import { type PageName, pagePath, pages } from "../pages.ts";
import type { ProxyName } from "../proxies.ts";

export interface Shape {
  readonly name: string;
  readonly title: string;
  readonly measures: "throughput" | "throughput and latency" | "idle memory";
  readonly page: PageName;
  readonly connections: number;
  readonly uploadBytes: number;
  /** Further routes by path prefix; requests go to all of them in turn. */
  readonly routes: number;
  /** Whether clients speak TLS. */
  readonly tls: boolean;
  /** wrk reads 8 KiB at a time, which limits large bodies; the load generator reads 1 MiB. */
  readonly load: "wrk" | "own";
  /** Why a proxy has no row. */
  readonly without: (proxy: ProxyName) => string | undefined;
}

const ordinary: Omit<Shape, "name" | "title"> = {
  measures: "throughput",
  page: "1KiB",
  connections: 64,
  uploadBytes: 0,
  routes: 0,
  tls: false,
  load: "wrk",
  without: () => undefined,
};

const idleConnections = 5_000;
export const mainShapeName = "1KiB";

function routesShape(routes: number): Shape {
  const count = routes.toLocaleString("en-US");
  return {
    ...ordinary,
    name: `routes-${routes}`,
    title: `1 KiB responses, 64 connections, ${count} ${routes === 1 ? "route" : "routes by path prefix"}`,
    routes,
    without: (proxy) => {
      if (proxy === "caddy") return "tries its routes in turn";
      if (proxy === "http-proxy-3") return "has no routes";
      if (proxy === "fastify-http-proxy") return "would be registered once for each route";
      return undefined;
    },
  };
}

function connectionsShape(connections: number): Shape {
  return {
    ...ordinary,
    name: `connections-${connections}`,
    title: `1 KiB responses, ${connections.toLocaleString("en-US")} connections`,
    connections,
  };
}

export const shapes: readonly Shape[] = [
  {
    ...ordinary,
    name: mainShapeName,
    title: "1 KiB responses, 64 connections",
    measures: "throughput and latency",
  },
  {
    ...ordinary,
    name: "64KiB",
    title: "64 KiB responses, 64 connections",
    measures: "throughput and latency",
    page: "64KiB",
    load: "own",
  },
  {
    ...ordinary,
    name: "10MiB",
    title: "10 MiB responses, 8 connections",
    page: "10MiB",
    connections: 8,
    load: "own",
  },
  {
    ...ordinary,
    name: "chunked",
    title: "16 KiB responses in chunks, 64 connections",
    page: "chunked",
  },
  {
    ...ordinary,
    name: "upload",
    title: "16 KiB uploads, 64 connections",
    measures: "throughput and latency",
    page: "upload",
    uploadBytes: 16 * 1024,
  },
  {
    ...ordinary,
    name: "tls",
    title: "1 KiB responses over TLS, 64 connections",
    measures: "throughput and latency",
    tls: true,
    without: (proxy) =>
      proxy === "http-proxy-3" || proxy === "fastify-http-proxy" ? "would be node:https as in any other" : undefined,
  },
  { ...connectionsShape(1_000), measures: "throughput and latency" },
  connectionsShape(5_000),
  routesShape(1),
  routesShape(100),
  routesShape(10_000),
  {
    ...ordinary,
    name: "idle",
    title: "resident memory of an idle connection",
    measures: "idle memory",
    connections: idleConnections,
  },
];

/** Undefined for the users' own paths, whose responses have 1 KiB. */
export function shapePath({ page, routes }: Shape): ((index: number) => string) | undefined {
  if (routes > 0) return (index) => `${routePrefix(scattered(index) % routes)}/items/${index % 100}`;
  return page === "1KiB" ? undefined : (index) => `${pagePath(page)}?page=${index % 100}`;
}

export function routePrefixes({ routes }: Shape): readonly string[] {
  return Array.from({ length: routes }, (_, index) => routePrefix(index));
}

export function bodyBytes(shape: Shape): number {
  return (pages.find(({ name }) => name === shape.page) ?? pages[0]).bodyBytes;
}

/** Knuth's multiplicative hash: consecutive requests are for routes that are far apart. */
function scattered(index: number): number {
  return Math.imul(index, 2_654_435_761) >>> 0;
}
