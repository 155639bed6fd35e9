/** The configuration of an nginx above its `http` block, as a proxy and as the upstreams. */
import { ownUserName, requiredProgram } from "./start-native.ts";

export function nginxCommand(directory: string, configFile: string): readonly string[] {
  return [requiredProgram("nginx", "-v"), "-p", directory, "-c", configFile, "-e", "stderr"];
}

export function nginxProcess(directory: string, openFiles: number, workers = 1): string {
  return `
daemon off;
${process.getuid?.() === 0 ? `user ${ownUserName()};` : ""}
# One worker for each core. The master only watches; the kernel's account is that of all.
worker_processes ${workers};
worker_rlimit_nofile ${openFiles};
pid ${directory}/nginx.pid;
error_log stderr error;
# Regular expressions are compiled, where there are any.
pcre_jit on;
events { worker_connections ${openFiles}; }
`;
}
