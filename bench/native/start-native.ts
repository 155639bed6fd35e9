import { userInfo } from "node:os";
import { connect } from "node:tls";
import { Child } from "../child.ts";
import { findProgram } from "../find-program.ts";
import type { RunningProxy } from "../running-proxy.ts";
import { removeScratchDirectory } from "../scratch-directory.ts";

interface NativeStart {
  readonly command: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cpu: number | undefined;
  readonly port: number;
  readonly tls: boolean;
  /** Removed with the proxy. */
  readonly directory: string;
}

/** Starts a server of another project, and waits until it answers. */
export async function startNative({ port, tls, directory, ...options }: NativeStart): Promise<RunningProxy> {
  const child = new Child({ ...options, messages: false });
  await child.waitUntil(() => (tls ? speaksTls(port) : answers(port)));
  return {
    pid: child.pid,
    port,
    metrics: undefined,
    allocatedBytes: undefined,
    stop: async () => {
      await child.stop();
      removeScratchDirectory(directory);
    },
  };
}

async function answers(port: number): Promise<boolean> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}/`, { headers: { "x-forwarded-for": "127.0.0.1" } });
    await response.arrayBuffer();
    return response.ok;
  } catch {
    return false;
  }
}

function speaksTls(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false }, () => resolve(true));
  socket.once("error", () => resolve(false));
  return promise.finally(() => socket.destroy());
}

/** The current user; an nginx started by root would otherwise run its workers as another. */
export function ownUserName(): string {
  return userInfo().username;
}

export function requiredProgram(name: string, versionArgument: string): string {
  const found = findProgram(name, versionArgument);
  if (found === undefined) throw new Error(`${name} is not installed`);
  return found.file;
}
