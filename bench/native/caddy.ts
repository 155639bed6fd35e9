/**
 * Caddy doing the canary work, in a Caddyfile: `map` for the pin, the draw and the rule, matchers for the versions. It
 * has no hash of a value, so the draw reads the first digits of a random id.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { certFile, keyFile } from "../certificate.ts";
import { freePorts } from "../free-ports.ts";
import type { RunningProxy, StartOptions, UpstreamPorts } from "../running-proxy.ts";
import { makeScratchDirectory } from "../scratch-directory.ts";
import { requiredProgram, startNative } from "./start-native.ts";

export async function startCaddy(options: StartOptions): Promise<RunningProxy> {
  if (options.routePrefixes.length > 0) throw new Error("Caddy tries its routes in turn, so it has no shape of many");
  if (options.upstreamSockets || options.workers > 1) throw new Error("Caddy has no such situation");
  const [port] = await freePorts(1);
  const directory = makeScratchDirectory();
  const configFile = join(directory, "Caddyfile");
  writeFileSync(configFile, caddyConfig({ ...options, port }));
  const command = [requiredProgram("caddy", "version"), "run", "--config", configFile, "--adapter", "caddyfile"];
  // One core, one thread for Go code, and no data in the user's home.
  const env = { GOMAXPROCS: "1", HOME: directory, XDG_DATA_HOME: directory, XDG_CONFIG_HOME: directory };
  return startNative({ command, env, cpu: options.pinning.proxyCpu, port, tls: options.tls, directory });
}

interface ConfigValues {
  readonly port: number;
  readonly upstreams: UpstreamPorts;
  readonly connections: number;
  readonly tls: boolean;
  readonly trustedCallers: boolean;
  readonly accessLog: boolean;
}

function caddyConfig({ port, upstreams, connections, tls, trustedCallers, accessLog }: ConfigValues): string {
  const proxy = (upstreamPort: number) => `127.0.0.1:${upstreamPort} {
    transport http {
      # As many idle connections as clients can need at once; the default keeps 32.
      keepalive 10m
      keepalive_idle_conns 0
      keepalive_idle_conns_per_host ${connections}
      # Bodies pass as they are.
      compression off
    }
  }`;
  return `
{
  admin off
  auto_https off
  servers {
    # Plain HTTP/1.1 is all that is asked for.
    protocols h1
    ${trustedCallers ? "trusted_proxies static 127.0.0.0/8" : ""}
    timeouts {
      idle 10m
    }
  }
}
${tls ? "https" : "http"}://:${port} {
  bind 127.0.0.1
  ${accessLog ? "log {\n    output stdout\n  }" : ""}
  ${tls ? `tls ${certFile} ${keyFile}` : ""}
  # The draw: 410 of 4,096 values of three hexadecimal digits are a tenth.
  map {http.request.uuid} {drawn} {
    ~^(0..|1[0-8].|19[0-9]) canary
    default stable
  }
  # The pin names the version; without one it is drawn.
  map {http.request.cookie.bench} {pinned} {fresh} {
    canary canary no
    stable stable no
    default {drawn} yes
  }
  # The rule outranks both.
  map {http.request.header.X-User-Region} {version} {
    cn-east canary
    cn-south canary
    default {pinned}
  }
  @fresh vars {fresh} yes
  header @fresh +Set-Cookie "bench={version}; Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax"
  header X-Served-Version {version}
  # It sets X-Forwarded-For and -Proto by itself.
  request_header X-Request-Id {http.request.uuid}
  @canary vars {version} canary
  reverse_proxy @canary ${proxy(upstreams.canaryPort)}
  reverse_proxy ${proxy(upstreams.stablePort)}
}
`;
}
