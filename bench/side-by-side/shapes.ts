/** The measured shapes of traffic. */
import { routePrefix } from "../micro-config.ts";
import { type PageName, pagePath, pages } from "../pages.ts";
import type { ProxyName } from "../proxies.ts";

/**
 * `fixed`: at a rate below saturation, the same for all; `saturated`: without pause; `idle`: the memory of connections
 * without requests.
 */
type Measured = "fixed" | "saturated" | "idle";

export interface Shape {
  readonly name: string;
  readonly title: string;
  readonly measures: readonly Measured[];
  readonly page: PageName;
  readonly connections: number;
  readonly uploadBytes: number;
  /** One request in this many is a new visitor's; undefined for none. */
  readonly newOneIn: number | undefined;
  /** Further routes by path prefix; requests go to all of them in turn. */
  readonly routes: number;
  /** Whether clients speak TLS. */
  readonly tls: boolean;
  readonly trustedCallers: boolean;
  readonly accessLog: boolean;
  /** Above 1, or where it is compared with such a row, nothing is pinned to a CPU. */
  readonly workers: number;
  readonly isPinned: boolean;
  readonly upstreamsOver: "tcp" | "unix sockets";
  /** The fixed rate; undefined: a share of what the proxies sustain. */
  readonly requestsPerSecond: number | undefined;
  /** At most this many rounds. */
  readonly maxRounds: number;
  /** wrk reads 8 KiB at a time, which limits large bodies; the load generator reads 1 MiB. */
  readonly load: "wrk" | "own";
  /** Whether it is measured only where it is named. */
  readonly onRequest: boolean;
  /** Why a proxy has no row. */
  readonly without: (proxy: ProxyName) => string | undefined;
}

const ordinary: Omit<Shape, "name" | "title"> = {
  measures: ["saturated", "fixed"],
  page: "1KiB",
  connections: 64,
  uploadBytes: 0,
  newOneIn: undefined,
  routes: 0,
  tls: false,
  trustedCallers: false,
  accessLog: false,
  workers: 1,
  isPinned: true,
  upstreamsOver: "tcp",
  requestsPerSecond: undefined,
  maxRounds: Number.POSITIVE_INFINITY,
  load: "wrk",
  onRequest: false,
  without: () => undefined,
};

export const mainShapeName = "1KiB";

function routesShape(routes: number): Shape {
  const count = routes.toLocaleString("en-US");
  return {
    ...ordinary,
    name: `routes-${routes}`,
    title: `${count} ${routes === 1 ? "route" : "routes by path prefix"}`,
    routes,
    onRequest: true,
    without: (proxy) => {
      if (proxy === "caddy") return "tries its routes in turn";
      if (proxy === "http-proxy-3") return "has no routes";
      if (proxy === "fastify-http-proxy") return "would be registered once for each route";
      return undefined;
    },
  };
}

function workersShape(workers: number): Shape {
  return {
    ...ordinary,
    name: `workers-${workers}`,
    title: `${workers} ${workers === 1 ? "worker" : "workers"}, not pinned to a core`,
    measures: ["saturated"],
    workers,
    isPinned: false,
    without: (proxy) => (isNodePeer(proxy) || proxy === "caddy" ? "would be one thread" : undefined),
  };
}

const isNodePeer = (proxy: ProxyName) => proxy === "http-proxy-3" || proxy === "fastify-http-proxy";

export const shapes: readonly Shape[] = [
  { ...ordinary, name: mainShapeName, title: "1 KiB responses to pinned users, 64 connections" },
  { ...ordinary, name: "trusted", title: "trusted callers", trustedCallers: true },
  { ...ordinary, name: "new-users", title: "one user in 20 new", newOneIn: 20 },
  {
    ...ordinary,
    name: "access-log",
    title: "every request logged",
    accessLog: true,
    without: (proxy) => (isNodePeer(proxy) ? "has no access log" : undefined),
  },
  {
    ...ordinary,
    name: "tls",
    title: "TLS in front, connections kept",
    tls: true,
    without: (proxy) => (isNodePeer(proxy) ? "would be node:https as in any other" : undefined),
  },
  { ...ordinary, name: "64KiB", title: "64 KiB responses", page: "64KiB", load: "own" },
  {
    ...ordinary,
    name: "10MiB",
    title: "10 MiB responses, 8 connections",
    measures: ["saturated"],
    page: "10MiB",
    connections: 8,
    load: "own",
  },
  {
    ...ordinary,
    name: "upload-64KiB",
    title: "64 KiB uploads",
    page: "upload",
    uploadBytes: 64 * 1024,
    load: "own",
  },
  {
    ...ordinary,
    name: "upload-10MiB",
    title: "10 MiB uploads, 8 connections",
    measures: ["saturated"],
    page: "upload",
    connections: 8,
    uploadBytes: 10 * 1024 * 1024,
    load: "own",
  },
  { ...ordinary, name: "connections-1000", title: "1,000 connections", connections: 1_000 },
  {
    ...ordinary,
    name: "in-flight-5000",
    title: "5,000 requests in flight, each for a second",
    measures: ["fixed"],
    page: "slow",
    // A few more than are in flight on average.
    connections: 5_500,
    requestsPerSecond: 5_000,
    load: "own",
  },
  {
    ...ordinary,
    name: "unix-upstreams",
    title: "unix sockets to the upstreams",
    upstreamsOver: "unix sockets",
    without: (proxy) => (isNodePeer(proxy) || proxy === "caddy" ? "is not set up for them" : undefined),
  },
  workersShape(1),
  workersShape(2),
  {
    ...ordinary,
    name: "idle",
    title: "resident memory of an idle connection, 2,000 of them",
    measures: ["idle"],
    connections: 2_000,
    // Each needs a new process.
    maxRounds: 3,
  },
  { ...ordinary, name: "chunked", title: "16 KiB responses in chunks", page: "chunked", onRequest: true },
  routesShape(1),
  routesShape(100),
  routesShape(10_000),
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
  return pageOf(shape).bodyBytes;
}

export function delayMs(shape: Shape): number {
  return pageOf(shape).delayMs;
}

/** The bytes of a request's and its response's body. */
export function movedBytes(shape: Shape): number {
  return shape.uploadBytes + bodyBytes(shape);
}

function pageOf({ page }: Shape) {
  return pages.find(({ name }) => name === page) ?? pages[0];
}

/** Knuth's multiplicative hash: consecutive requests are for routes that are far apart. */
function scattered(index: number): number {
  return Math.imul(index, 2_654_435_761) >>> 0;
}
