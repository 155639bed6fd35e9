/** HAProxy doing the canary work: variables for the unit, a hash converter for the split, backends for the versions. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { certFile, keyFile } from "../certificate.ts";
import { freePorts } from "../free-ports.ts";
import type { RunningProxy, Situation, StartOptions, UpstreamPorts } from "../running-proxy.ts";
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

interface ConfigValues extends Situation {
  readonly port: number;
  readonly upstreams: UpstreamPorts;
  readonly connections: number;
  readonly routesFile: string;
  /** Certificate and key in one file, as HAProxy reads them. */
  readonly pemFile: string;
}

/** The fields of Perch's log that it knows too. It writes each line at once. */
const accessLog = `log stdout format raw local0
  log-format '{"level":"info","time":"%[date,utime(%Y-%m-%dT%H:%M:%S)]","msg":"request","requestId":"%ID","service":"shop","version":"%b","method":"%HM","path":"%HPO","status":%ST,"bytesReceived":%U,"bytesSent":%B,"durationMs":%Tr,"upstream":"%si:%sp","clientAddress":"%ci"}'`;

function haproxyConfig(values: ConfigValues): string {
  const { port, upstreams, connections, routePrefixes, routesFile, tls, pemFile, upstreamSockets: sockets } = values;
  // A map by prefix is a tree. Every request is looked up; requests without a route are served too.
  const route =
    routePrefixes.length === 0 ? "" : `http-request set-var(txn.route) path,map_beg(${routesFile},everything-else)`;
  const backend = (version: string, address: string) => `
backend ${version}
  # Idle connections to the upstream are shared among all clients.
  http-reuse always
  http-response set-header x-served-version ${version}
  # Idle connections are kept rather than closed a part every few seconds.
  server ${version} ${address} pool-purge-delay 600s
`;
  return `
global
  # One thread for each core.
  nbthread ${values.workers}
  maxconn ${connections + 100}
  # Of kernel pipes for splicing; each takes two of the files that sockets need too.
  maxpipes 64
  # Idle connections to the upstreams are kept however many files are open; from a quarter of the limit on they would be
  # closed after each request.
  tune.pool-low-fd-ratio 100
  tune.pool-high-fd-ratio 100

defaults
  mode http
  ${values.accessLog ? accessLog : "no log"}
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
  ${values.trustedCallers ? "" : `http-request set-header x-forwarded-proto ${tls ? "https" : "http"}`}
  unique-id-format %[uuid()]
  unique-id-header x-request-id
  # The pin names the version, which need not be computed anew. Without one, the request's id is hashed.
  acl pinned req.cook(bench) -m found
  http-request set-var(txn.version) req.cook(bench) if pinned
  acl drawn unique-id,xxh32,mod(100) lt 10
  http-request set-var(txn.version) str(canary) if !pinned drawn
  http-request set-var(txn.version) str(stable) if !pinned !drawn
  # The rule outranks both.
  acl ruled req.fhdr(x-user-region) -m str cn-east cn-south
  http-request set-var(txn.version) str(canary) if ruled
  http-request set-var(txn.new_pin) var(txn.version) unless pinned
  http-response add-header set-cookie "bench=%[var(txn.new_pin)]; Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax" if { var(txn.new_pin) -m found }
  use_backend canary if { var(txn.version) -m str canary }
  default_backend stable
${backend("stable", sockets ? `unix@${sockets.stableSocket}` : `127.0.0.1:${upstreams.stablePort}`)}
${backend("canary", sockets ? `unix@${sockets.canarySocket}` : `127.0.0.1:${upstreams.canaryPort}`)}
`;
}
