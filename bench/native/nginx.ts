/** nginx doing the canary work by its documentation: `map`, `split_clients`, upstream keepalive. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { certFile, keyFile } from "../certificate.ts";
import { freePorts } from "../free-ports.ts";
import { openFilesLimit } from "../machine.ts";
import type { RunningProxy, Situation, StartOptions, UpstreamPorts } from "../running-proxy.ts";
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

interface ConfigValues extends Situation {
  readonly port: number;
  readonly directory: string;
  readonly upstreams: UpstreamPorts;
  readonly connections: number;
}

/** The fields of Perch's log that it knows too, in batches of Perch's size. */
const accessLog = `log_format json escape=json '{"level":"info","time":"$time_iso8601","msg":"request",'
    '"requestId":"$request_id","service":"shop","version":"$version","unit":"$cookie_bench","method":"$request_method",'
    '"host":"$host","path":"$uri","status":$status,"bytesReceived":$request_length,"bytesSent":$bytes_sent,'
    '"durationMs":$request_time,"ttfbMs":"$upstream_header_time","upstream":"$upstream_addr",'
    '"clientAddress":"$remote_addr"}';
  access_log /dev/null json buffer=8k flush=1s;`;

function nginxConfig(values: ConfigValues): string {
  const { port, directory, upstreams, connections, routePrefixes, tls, workers, upstreamSockets: sockets } = values;
  // Each prefix is a location, which nginx finds in a tree.
  const locations = ["/", ...routePrefixes.map((prefix) => `${prefix}/`)].map(
    (prefix) => `    location ${prefix} { proxy_pass http://$version; }`,
  );
  const upstream = (version: string, address: string) => `
  upstream ${version} {
    server ${address};
    # As many idle connections as clients can need at once, so that none is closed and opened again.
    keepalive ${connections};
    # The default closes a connection after 1,000 requests.
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
  }`;
  return `${nginxProcess(directory, openFilesLimit(), workers)}
http {
  ${values.accessLog ? accessLog : "access_log off;"}
  # The default closes a client's connection after 1,000 requests.
  keepalive_requests 1000000000;
  # Idle connections are to be there when their memory is read.
  keepalive_timeout 600s;
  # Room for what these maps and server names take at any number of routes.
  variables_hash_max_size 2048;
  client_body_temp_path ${directory}/body;
  client_max_body_size 0;
  client_body_buffer_size 64k;
  # Uploads pass as they come, as in the others; the default would write those of 10 MiB to files first.
  proxy_request_buffering off;

  # The pin names the version, which need not be computed anew. Without one, a random id is hashed (MurmurHash2).
  split_clients $request_id $drawn { 10% canary; * stable; }
  map $cookie_bench $pinned { canary canary; stable stable; default $drawn; }
  # The rule outranks both.
  map $http_x_user_region $version { cn-east canary; cn-south canary; default $pinned; }
  map $cookie_bench $new_pin {
    "" "bench=$version; Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax";
    default "";
  }
${upstream("stable", sockets ? `unix:${sockets.stableSocket}` : `127.0.0.1:${upstreams.stablePort}`)}
${upstream("canary", sockets ? `unix:${sockets.canarySocket}` : `127.0.0.1:${upstreams.canaryPort}`)}

  # Keep-alive to the upstreams needs both of these.
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  proxy_set_header Host $http_host;
  proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
  proxy_set_header X-Forwarded-Proto ${values.trustedCallers ? "$http_x_forwarded_proto" : "$scheme"};
  # 16 random bytes.
  proxy_set_header X-Request-Id $request_id;
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
    listen 127.0.0.1:${port}${tls ? " ssl" : ""} backlog=8192${workers > 1 ? " reuseport" : ""};
    ${tls ? `ssl_certificate ${certFile}; ssl_certificate_key ${keyFile};` : ""}
${locations.join("\n")}
  }
}
`;
}
