/** HAProxy doing the canary work: variables for the unit, a hash converter for the split, backends for the versions. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { certFile, keyFile } from "../certificate.ts";
import { freePorts } from "../free-ports.ts";
import type { RunningProxy, StartOptions, UpstreamPorts } from "../running-proxy.ts";
import { makeScratchDirectory } from "../scratch-directory.ts";
import { requiredProgram, startNative } from "./start-native.ts";

export async function startHaproxy(options: StartOptions): Promise<RunningProxy> {
  const [port] = await freePorts(1);
  const directory = makeScratchDirectory();
  const configFile = join(directory, "haproxy.cfg");
  const routesFile = join(directory, "routes.map");
  const pemFile = join(directory, "shop.pem");
  writeFileSync(pemFile, [certFile, keyFile].map((file) => readFileSync(file, "utf8")).join(""), { mode: 0o600 });
  writeFileSync(routesFile, options.routePrefixes.map((prefix) => `${prefix}/ shop\n`).join(""));
  writeFileSync(configFile, haproxyConfig({ ...options, port, routesFile, pemFile }));
  const command = [requiredProgram("haproxy", "-v"), "-db", "-f", configFile];
  return startNative({ command, cpu: options.pinning.proxyCpu, port, tls: options.tls, directory });
}

interface ConfigValues {
  readonly port: number;
  readonly upstreams: UpstreamPorts;
  readonly connections: number;
  readonly routePrefixes: readonly string[];
  readonly routesFile: string;
  readonly tls: boolean;
  /** Certificate and key in one file, as HAProxy reads them. */
  readonly pemFile: string;
}

function haproxyConfig(values: ConfigValues): string {
  const { port, upstreams, connections, routePrefixes, routesFile, tls, pemFile } = values;
  // A map by prefix is a tree. Every request is looked up; requests without a route are served too.
  const route =
    routePrefixes.length === 0 ? "" : `http-request set-var(txn.route) path,map_beg(${routesFile},everything-else)`;
  const backend = (version: string, upstreamPort: number) => `
backend ${version}
  # Idle connections to the upstream are shared among all clients.
  http-reuse always
  http-response set-header x-served-version ${version}
  # Idle connections are kept rather than closed a part every few seconds.
  server ${version} 127.0.0.1:${upstreamPort} pool-purge-delay 600s
`;
  return `
global
  # One core, one thread.
  nbthread 1
  maxconn ${connections + 100}
  # Of kernel pipes for splicing; each takes two of the files that sockets need too.
  maxpipes 64
  # Idle connections to the upstreams are kept however many files are open; from a quarter of the limit on they would be
  # closed after each request.
  tune.pool-low-fd-ratio 100
  tune.pool-high-fd-ratio 100

defaults
  mode http
  no log
  option forwardfor
  # Large bodies are moved inside the kernel.
  option splice-response
  timeout connect 2s
  timeout client 600s
  timeout server 60s
  timeout http-keep-alive 600s

frontend web
  bind 127.0.0.1:${port} backlog 8192 ${tls ? `ssl crt ${pemFile}` : ""}
  ${route}
  http-request set-header x-forwarded-proto ${tls ? "https" : "http"}
  # The pin's unit, or a new one.
  http-request set-var(txn.unit) req.cook(bench)
  acl pinned var(txn.unit) -m found
  http-request set-var(txn.new_unit) uuid() unless pinned
  http-request set-var(txn.unit) var(txn.new_unit) unless pinned
  http-response add-header set-cookie "bench=%[var(txn.new_unit)]; Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax" if { var(txn.new_unit) -m found }
  # The rule outranks the draw, which hashes the unit on each request.
  acl ruled req.fhdr(x-user-region) -m str cn-east cn-south
  acl drawn var(txn.unit),xxh32,mod(100) lt 10
  use_backend canary if ruled or drawn
  default_backend stable
${backend("stable", upstreams.stablePort)}
${backend("canary", upstreams.canaryPort)}
`;
}
