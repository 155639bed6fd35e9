/** nginx doing the canary work by its documentation: `map`, `split_clients`, upstream keepalive. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { certFile, keyFile } from "../certificate.ts";
import { freePorts } from "../free-ports.ts";
import { openFilesLimit } from "../machine.ts";
import type { RunningProxy, StartOptions, UpstreamPorts } from "../running-proxy.ts";
import { makeScratchDirectory } from "../scratch-directory.ts";
import { nginxCommand, nginxProcess } from "./nginx-process.ts";
import { startNative } from "./start-native.ts";

export async function startNginx(options: StartOptions): Promise<RunningProxy> {
  const [port] = await freePorts(1);
  const directory = makeScratchDirectory();
  const configFile = join(directory, "nginx.conf");
  writeFileSync(configFile, nginxConfig({ ...options, port, directory }));
  return startNative({
    command: nginxCommand(directory, configFile),
    cpu: options.pinning.proxyCpu,
    port,
    tls: options.tls,
    directory,
  });
}

interface ConfigValues {
  readonly port: number;
  readonly directory: string;
  readonly upstreams: UpstreamPorts;
  readonly connections: number;
  readonly routePrefixes: readonly string[];
  readonly tls: boolean;
}

function nginxConfig({ port, directory, upstreams, connections, routePrefixes, tls }: ConfigValues): string {
  // Each prefix is a location, which nginx finds in a tree.
  const locations = ["/", ...routePrefixes.map((prefix) => `${prefix}/`)].map(
    (prefix) => `    location ${prefix} { proxy_pass http://$version; }`,
  );
  const upstream = (version: string, upstreamPort: number) => `
  upstream ${version} {
    server 127.0.0.1:${upstreamPort};
    # As many idle connections as clients can need at once, so that none is closed and opened again.
    keepalive ${connections};
    # The default closes a connection after 1,000 requests.
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
  }`;
  return `${nginxProcess(directory, openFilesLimit())}
http {
  access_log off;
  # The default closes a client's connection after 1,000 requests.
  keepalive_requests 1000000000;
  # Idle connections are to be there when their memory is read.
  keepalive_timeout 600s;
  # Room for what these maps and server names take at any number of routes.
  variables_hash_max_size 2048;
  client_body_temp_path ${directory}/body;
  # A body of 16 KiB stays in memory; with the default of two pages it would just not.
  client_body_buffer_size 64k;

  # The pin's unit, or a new one. $request_id is 16 random bytes; it is made only for those who need it.
  map $cookie_bench $unit { "" $request_id; default $cookie_bench; }
  map $cookie_bench $new_pin {
    "" "bench=$request_id; Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax";
    default "";
  }
  # Hashes the unit on each request (MurmurHash2), so the pin need not say the version.
  split_clients $unit $drawn { 10% canary; * stable; }
  # The rule outranks the draw.
  map $http_x_user_region $version { cn-east canary; cn-south canary; default $drawn; }
${upstream("stable", upstreams.stablePort)}
${upstream("canary", upstreams.canaryPort)}

  # Keep-alive to the upstreams needs both of these.
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  proxy_set_header Host $http_host;
  proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
  proxy_set_header X-Forwarded-Proto $scheme;
  # Large bodies in large pieces: of 16, 32 and 128 KiB the last took a third less CPU at 10 MiB, and none more at 64 KiB.
  proxy_buffer_size 8k;
  proxy_buffers 8 128k;
  proxy_busy_buffers_size 256k;
  # Never a temporary file: a slow reader slows the upstream down.
  proxy_max_temp_file_size 0;
  proxy_temp_path ${directory}/proxy;

  # An empty value adds no header.
  add_header Set-Cookie $new_pin;
  add_header X-Served-Version $version;

  server {
    listen 127.0.0.1:${port}${tls ? " ssl" : ""} backlog=8192;
    ${tls ? `ssl_certificate ${certFile}; ssl_certificate_key ${keyFile};` : ""}
${locations.join("\n")}
  }
}
`;
}
