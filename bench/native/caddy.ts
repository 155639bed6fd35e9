/**
 * Caddy doing the canary work, in a Caddyfile: `map` for the unit, the draw and the rule, matchers for the versions.
 * Its `lb_policy cookie` pins users to an upstream, with one cookie value for all of them; Caddy has no hash of a value
 * either, so the draw reads the random unit's first digits.
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
}

function caddyConfig({ port, upstreams, connections, tls }: ConfigValues): string {
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
    timeouts {
      idle 10m
    }
  }
}
${tls ? "https" : "http"}://:${port} {
  bind 127.0.0.1
  ${tls ? `tls ${certFile} ${keyFile}` : ""}
  # The pin's unit, or a new one.
  map {http.request.cookie.bench} {unit} {fresh} {
    "" {http.request.uuid} yes
    default {http.request.cookie.bench} no
  }
  # 410 of 4,096 values of three hexadecimal digits: a tenth.
  map {unit} {drawn} {
    ~^(0..|1[0-8].|19[0-9]) canary
    default stable
  }
  # The rule outranks the draw.
  map {http.request.header.X-User-Region} {version} {
    cn-east canary
    cn-south canary
    default {drawn}
  }
  @fresh vars {fresh} yes
  header @fresh +Set-Cookie "bench={unit}; Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax"
  header X-Served-Version {version}
  # It sets X-Forwarded-For and -Proto by itself.
  @canary vars {version} canary
  reverse_proxy @canary ${proxy(upstreams.canaryPort)}
  reverse_proxy ${proxy(upstreams.stablePort)}
}
`;
}
