import fc from "fast-check";
import { expect, test } from "vitest";
import { importManifests } from "../../../../src/config/import/import-manifests.ts";
import { createEngine } from "../../../../src/index.ts";

interface Match {
  readonly uri: { readonly exact: string } | { readonly prefix: string };
  readonly headers: { readonly x: { readonly exact: string } } | undefined;
  readonly port: number | undefined;
}

interface Server {
  readonly port: number;
  readonly hosts: readonly string[];
  readonly httpsRedirect: boolean;
}

interface Service {
  readonly hosts: readonly string[];
  readonly gateways: readonly string[];
  /** The matches of each route; the destination is named after the service and the route. */
  readonly routes: readonly (readonly Match[])[];
}

interface Mesh {
  readonly gateways: Readonly<Record<"g0" | "g1", readonly Server[]>>;
  readonly services: readonly Service[];
}

interface Request {
  readonly port: number;
  readonly host: string;
  readonly path: string;
  readonly x: string;
}

const hosts = ["a.ex.com", "b.a.ex.com", "z.org", "*.ex.com", "*.a.ex.com", "*.org", "*"];
const requests: readonly Request[] = [80, 8000].flatMap((port) =>
  ["a.ex.com", "b.a.ex.com", "c.a.ex.com", "ex.com", "z.org", "y.org"].flatMap((host) =>
    ["/", "/a", "/ab", "/b"].flatMap((path) => ["", "1"].map((x) => ({ port, host, path, x }))),
  ),
);

const someOf = (all: readonly string[]) => fc.uniqueArray(fc.constantFrom(...all), { minLength: 1, maxLength: 3 });
const uri = fc.constantFrom({ exact: "/a" }, { exact: "/b" }, { prefix: "/a" }, { prefix: "/" });
const match = fc.record({
  uri,
  headers: fc.option(fc.constant({ x: { exact: "1" } }), { nil: undefined }),
  port: fc.constantFrom(undefined, undefined, 80, 8000),
});
// A match of nothing but a port matches everything there, which is not compared.
const usable = match.filter(({ uri, headers, port }) => port === undefined || "exact" in uri || headers !== undefined);
const server = fc.record({
  port: fc.constantFrom(80, 8000),
  hosts: someOf(hosts),
  httpsRedirect: fc.constantFrom(false, false, false, true),
});
const servers = fc.array(server, { minLength: 1, maxLength: 2 });
const service = fc.record({
  hosts: someOf(hosts),
  gateways: someOf(["g0", "g1"]),
  routes: fc.array(fc.array(usable, { minLength: 1, maxLength: 2 }), { minLength: 1, maxLength: 3 }),
});
const mesh: fc.Arbitrary<Mesh> = fc.record({
  gateways: fc.record({ g0: servers, g1: servers }),
  services: fc.array(service, { minLength: 2, maxLength: 4 }),
});

function isBelow(host: string, pattern: string): boolean {
  return pattern === "*" || host === pattern || (pattern.startsWith("*.") && host.endsWith(pattern.slice(1)));
}

const takesAll = ({ uri, headers }: Match): boolean => "prefix" in uri && uri.prefix === "/" && headers === undefined;

/** What Istio's gateway does: it chooses a domain, its redirect, and then the first route, those for everything last. */
function answerOf({ gateways, services }: Mesh, { port, host, path, x }: Request): string {
  const domains = new Map<string, { redirects: boolean; readonly routes: { match: Match; to: string }[] }>();
  const at = (domain: string) => {
    const found = domains.get(domain) ?? { redirects: false, routes: [] };
    domains.set(domain, found);
    return found;
  };
  const open = Object.entries(gateways).flatMap(([name, all]) => all.map((one) => ({ name, ...one })));
  const here = open.filter((one) => one.port === port);
  for (const [index, one] of services.entries()) {
    const own = new Set<string>();
    for (const { hosts: ofServer, httpsRedirect } of here.filter(({ name }) => one.gateways.includes(name))) {
      for (const domain of ofServer.flatMap((a) =>
        one.hosts.flatMap((b) => (isBelow(a, b) ? a : isBelow(b, a) ? b : [])),
      )) {
        own.add(domain);
        at(domain).redirects ||= httpsRedirect;
      }
    }
    const routes = one.routes.flatMap((matches, at) => matches.map((match) => ({ match, to: `s${index}-${at}` })));
    const reachable = routes.filter(({ match }) => match.port === undefined || match.port === port);
    const last = reachable.findIndex(({ match }) => takesAll(match));
    for (const domain of own) at(domain).routes.push(...reachable.slice(0, last < 0 ? reachable.length : last + 1));
  }
  for (const { hosts: ofServer } of here.filter((one) => one.httpsRedirect)) {
    for (const domain of ofServer) at(domain).redirects = true;
  }
  const rank = (domain: string): number => (domain === host ? 1_000 : domain === "*" ? 0 : domain.length);
  const [best] = [...domains.keys()].filter((one) => isBelow(host, one)).sort((a, b) => rank(b) - rank(a));
  if (best === undefined) return "404";
  const { redirects, routes } = at(best);
  if (redirects) return "redirect";
  const ordered = routes.toSorted((a, b) => Number(takesAll(a.match)) - Number(takesAll(b.match)));
  const found = ordered.find(({ match: { uri, headers } }) => {
    const matchesPath = "exact" in uri ? path === uri.exact : path.startsWith(uri.prefix);
    return matchesPath && (headers === undefined || x === headers.x.exact);
  });
  return found?.to ?? "404";
}

function manifests({ gateways, services }: Mesh): string {
  const object = (kind: string, name: string, spec: object): string =>
    JSON.stringify({ apiVersion: "networking.istio.io/v1", kind, metadata: { name, namespace: "shop" }, spec });
  const ofGateways = Object.entries(gateways).map(([name, all]) =>
    object("Gateway", name, {
      servers: all.map(({ port, hosts: names, httpsRedirect }) => ({
        port: { number: port, protocol: "HTTP" },
        hosts: names,
        ...(httpsRedirect ? { tls: { httpsRedirect } } : {}),
      })),
    }),
  );
  const ofServices = services.map(({ routes, ...spec }, index) =>
    object("VirtualService", `s${index}`, {
      ...spec,
      http: routes.map((matches, at) => ({
        match: matches,
        route: [{ destination: { host: `s${index}-${at}`, port: { number: 80 } } }],
      })),
    }),
  );
  return [...ofGateways, ...ofServices].join("\n---\n");
}

test("each request of a gateway goes where Istio sends it, or gets the same redirect or 404", () => {
  fc.assert(
    fc.property(mesh, (model) => {
      const result = importManifests([{ file: "cluster.yaml", text: manifests(model) }]);
      if (result.ok) expect(result.defects).toEqual([]);
      const engine = result.ok ? createEngine(result.config, { env: {} }) : undefined;
      for (const { port, host, path, x } of requests) {
        const listener = port === 80 ? "http" : `port-${port}`;
        const request = { method: "GET", url: path, headers: { host, ...(x === "" ? {} : { x }) }, listener };
        const { route = null, service = null } = engine?.decide(request) ?? {};
        const is404 = route === null || /-not-found(?:-\d+)?$/.test(route);
        const answer = is404 ? "404" : (service ?? "redirect");
        expect({ port, host, path, x, answer }).toEqual({
          port,
          host,
          path,
          x,
          answer: answerOf(model, { port, host, path, x }),
        });
      }
    }),
    { seed: 17, numRuns: 25 },
  );
});
