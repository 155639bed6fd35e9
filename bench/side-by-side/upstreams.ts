/** The two versions behind every proxy, on nginx, since it uses the least CPU. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Pinning } from "../child.ts";
import { freePorts } from "../free-ports.ts";
import { openFilesLimit } from "../machine.ts";
import { nginxCommand, nginxProcess } from "../native/nginx-process.ts";
import { startNative } from "../native/start-native.ts";
import { pagePath, pages, wantedHeader } from "../pages.ts";
import type { UpstreamPorts, UpstreamSockets } from "../running-proxy.ts";
import { makeScratchDirectory } from "../scratch-directory.ts";

export interface Upstreams {
  readonly ports: UpstreamPorts;
  readonly sockets: UpstreamSockets;
  /** A sample that bounds a window. */
  seen(): Promise<UpstreamCounts>;
  stop(): Promise<void>;
}

/** Since the start of the upstreams. */
export interface UpstreamCounts {
  readonly requests: number;
  readonly connections: number;
}

/** A failure of the upstreams, which ends the run. */
export class UpstreamsEnded extends Error {
  override readonly name = "UpstreamsEnded";
}

export async function startUpstreams({ loadCpu }: Pinning): Promise<Upstreams> {
  const [stablePort, canaryPort, statusPort] = await freePorts(3);
  const directory = makeScratchDirectory();
  const configFile = join(directory, "nginx.conf");
  for (const { name, bodyBytes } of pages) writeFileSync(join(directory, name), "x".repeat(bodyBytes));
  const sockets = { stableSocket: join(directory, "stable.sock"), canarySocket: join(directory, "canary.sock") };
  writeFileSync(configFile, upstreamConfig({ directory, stablePort, canaryPort, statusPort, ...sockets }));
  const command = nginxCommand(directory, configFile);
  const server = await startNative({ command, cpu: loadCpu, port: stablePort, tls: false, directory });
  let ownRequests = 0;
  return {
    ports: { stablePort, canaryPort },
    sockets,
    seen: async () => {
      try {
        const text = await (await fetch(`http://127.0.0.1:${statusPort}/`)).text();
        ownRequests += 1;
        // The third line: connections accepted, handled, and requests, including these.
        const [, connections, requests] = /^\s*(\d+) \d+ (\d+)/m.exec(text) ?? [];
        return { requests: Number(requests) - ownRequests, connections: Number(connections) };
      } catch (cause) {
        throw new UpstreamsEnded("the upstreams do not answer any more", { cause });
      }
    },
    stop: server.stop,
  };
}

interface UpstreamConfig extends UpstreamPorts, UpstreamSockets {
  readonly directory: string;
  readonly statusPort: number;
}

/** It refuses wrong requests, so that every response is checked without cost to the load. */
function upstreamConfig(config: UpstreamConfig): string {
  const { directory, stablePort, canaryPort, statusPort, stableSocket, canarySocket } = config;
  const wanted = `$http_${wantedHeader.replaceAll("-", "_")}`;
  return `${nginxProcess(directory, openFilesLimit())}
http {
  access_log off;
  server_tokens off;
  etag off;
  keepalive_requests 1000000000;
  keepalive_timeout 600s;
  sendfile on;
  tcp_nopush on;
  open_file_cache max=16 inactive=1h;
  client_body_temp_path ${directory}/body;
  # Uploads stay in memory.
  client_max_body_size 0;
  client_body_buffer_size 11m;
  default_type text/plain;
  map ${wanted} $not_for_stable { default 1; "" 0; stable 0; }
  map ${wanted} $not_for_canary { default 1; "" 0; canary 0; }
${versionServer("stable", stablePort, stableSocket, directory)}
${versionServer("canary", canaryPort, canarySocket, directory)}
  server {
    listen 127.0.0.1:${statusPort};
    stub_status;
  }
}
`;
}

function versionServer(version: string, port: number, socket: string, directory: string): string {
  const files = pages.map(({ name, chunkBytes, delayMs }) => {
    // A filter makes the length unknown, so the response is sent in chunks of these buffers.
    const chunks = `output_buffers 8 ${chunkBytes}; sub_filter "nowhere to be found" ""; sub_filter_types *;`;
    // The mirror reads the request's body, with which a file is not served; the error page is the response.
    const upload = "mirror /dropped; error_page 405 =200 /accepted;";
    // nginx delays nothing but refusals, and the error page is the response again.
    const slow = `auth_delay ${delayMs}ms; auth_basic slow; auth_basic_user_file none; error_page 401 =200 /accepted;`;
    const extra = name === "upload" ? upload : delayMs > 0 ? slow : chunkBytes === undefined ? "" : chunks;
    return `    location = ${pagePath(name)} { alias ${directory}/${name}; ${extra} }`;
  });
  return `
  server {
    listen 127.0.0.1:${port} backlog=8192;
    listen unix:${socket} backlog=8192;
    add_header X-Version ${version};
    if ($http_x_forwarded_for = "") { return 400; }
    if ($not_for_${version}) { return 409; }
    location / { return 200 "${"x".repeat(pages[0].bodyBytes)}"; }
${files.join("\n")}
    location = /accepted { internal; return 200 "${"x".repeat(pages[0].bodyBytes)}"; }
    location = /dropped { internal; return 204; }
  }`;
}
