/** The two versions behind every proxy: nginx if it is installed, since it uses the least CPU, else upstream.ts. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Child, nodeCommand, type Pinning } from "../child.ts";
import { findProgram } from "../find-program.ts";
import { freePorts } from "../free-ports.ts";
import { openFilesLimit } from "../machine.ts";
import { nginxCommand, nginxProcess } from "../native/nginx-process.ts";
import { startNative } from "../native/start-native.ts";
import { pagePath, pages, wantedHeader } from "../pages.ts";
import type { UpstreamPorts } from "../running-proxy.ts";
import { makeScratchDirectory } from "../scratch-directory.ts";
import type { UpstreamReport } from "../upstream.ts";

export interface Upstreams {
  readonly description: string;
  readonly ports: UpstreamPorts;
  /** A sample that bounds a window. */
  seen(): Promise<UpstreamCounts>;
  /** Errors of the requests inspected since the last call. */
  complaints(): readonly string[];
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

export async function startUpstreams(pinning: Pinning): Promise<Upstreams> {
  const hasNginx = findProgram("nginx", "-v") !== undefined;
  const upstreams = await (hasNginx ? startNginxUpstreams(pinning) : startNodeUpstreams(pinning));
  return {
    ...upstreams,
    seen: async () => {
      try {
        return await upstreams.seen();
      } catch (cause) {
        throw new UpstreamsEnded("the upstreams do not answer any more", { cause });
      }
    },
  };
}

async function startNodeUpstreams({ loadCpu }: Pinning): Promise<Upstreams> {
  const script = fileURLToPath(new URL("../upstream.ts", import.meta.url));
  const child = new Child({ command: nodeCommand(script), cpu: loadCpu, messages: true });
  const ports = await child.nextMessage<UpstreamPorts>();
  let requests = 0;
  let connections = 0;
  let faults: string[] = [];
  return {
    description: "upstreams of our own (no nginx here)",
    ports,
    seen: async () => {
      const report = child.nextMessage<UpstreamReport>();
      child.send({});
      const { stable, canary, unforwarded, misdirected, connections: opened } = await report;
      if (unforwarded > 0) faults.push(`${unforwarded} inspected requests lacked X-Forwarded-For or X-Forwarded-Proto`);
      if (misdirected > 0) faults.push(`${misdirected} inspected requests came to the wrong version`);
      requests += stable + canary;
      connections += opened;
      return { requests, connections };
    },
    complaints: () => {
      const all = faults;
      faults = [];
      return all;
    },
    stop: () => child.stop(),
  };
}

async function startNginxUpstreams({ loadCpu }: Pinning): Promise<Upstreams> {
  const [stablePort, canaryPort, statusPort] = await freePorts(3);
  const directory = makeScratchDirectory();
  const configFile = join(directory, "nginx.conf");
  for (const { name, bodyBytes } of pages) writeFileSync(join(directory, name), "x".repeat(bodyBytes));
  writeFileSync(configFile, upstreamConfig({ directory, stablePort, canaryPort, statusPort }));
  const command = nginxCommand(directory, configFile);
  const server = await startNative({ command, cpu: loadCpu, port: stablePort, tls: false, directory });
  let ownRequests = 0;
  return {
    description: "upstreams on nginx",
    ports: { stablePort, canaryPort },
    seen: async () => {
      const text = await (await fetch(`http://127.0.0.1:${statusPort}/`)).text();
      ownRequests += 1;
      // The third line: connections accepted, handled, and requests, including these.
      const [, connections, requests] = /^\s*(\d+) \d+ (\d+)/m.exec(text) ?? [];
      return { requests: Number(requests) - ownRequests, connections: Number(connections) };
    },
    complaints: () => [],
    stop: server.stop,
  };
}

interface UpstreamConfig extends UpstreamPorts {
  readonly directory: string;
  readonly statusPort: number;
}

/** It refuses wrong requests, so that every response is checked without cost to the load. */
function upstreamConfig({ directory, stablePort, canaryPort, statusPort }: UpstreamConfig): string {
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
  client_body_buffer_size 64k;
  default_type text/plain;
  map ${wanted} $not_for_stable { default 1; "" 0; stable 0; }
  map ${wanted} $not_for_canary { default 1; "" 0; canary 0; }
${versionServer("stable", stablePort, directory)}
${versionServer("canary", canaryPort, directory)}
  server {
    listen 127.0.0.1:${statusPort};
    stub_status;
  }
}
`;
}

function versionServer(version: string, port: number, directory: string): string {
  const files = pages.map(({ name, chunkBytes }) => {
    // A filter makes the length unknown, so the response is sent in chunks of these buffers.
    const chunks = `output_buffers 8 ${chunkBytes}; sub_filter "nowhere to be found" ""; sub_filter_types *;`;
    // The mirror reads the request's body, with which a file is not served; the error page is the response.
    const upload = "mirror /dropped; error_page 405 =200 /accepted;";
    const extra = name === "upload" ? upload : chunkBytes === undefined ? "" : chunks;
    return `    location = ${pagePath(name)} { alias ${directory}/${name}; ${extra} }`;
  });
  return `
  server {
    listen 127.0.0.1:${port} backlog=8192;
    add_header X-Version ${version};
    if ($http_x_forwarded_for = "") { return 400; }
    if ($not_for_${version}) { return 409; }
    location / { return 200 "${"x".repeat(pages[0].bodyBytes)}"; }
${files.join("\n")}
    location = /accepted { internal; return 200 "${"x".repeat(pages[0].bodyBytes)}"; }
    location = /dropped { internal; return 204; }
  }`;
}
