import { closeSync, openSync, readSync } from "node:fs";
import { Socket } from "node:net";
import { devNull } from "node:os";

/**
 * Keeps file descriptors for the admin server, files, logs and name servers. The system gives out the lowest free number,
 * and the limit is one on numbers, so the number of a new descriptor tells how many of the process are left, whatever
 * holds the others: no thread has to count. Client connections may use the numbers below `clients`, upstream connections
 * those below `upstreams`, so that clients that are connected can still be served; admin connections, those below
 * `admin`.
 */
export interface DescriptorLimits {
  readonly clients: number;
  readonly upstreams: number;
  readonly admin: number;
}

const maxReserve = 200;
/** Of a limit below 800. */
const reservedShare = 0.25;

export function descriptorLimits(openFiles: number): DescriptorLimits {
  const reserve = Math.min(maxReserve, Math.floor(openFiles * reservedShare));
  return {
    clients: openFiles - reserve,
    upstreams: openFiles - Math.floor(reserve / 2),
    admin: openFiles - Math.floor(reserve / 4),
  };
}

/** The limits of this process. An administrator may change the limit on open files of a running process (prlimit). */
export class DescriptorReserve {
  readonly #monotonicMs: () => number;
  readonly #openFiles: () => number | undefined;
  #limits = descriptorLimits(Number.POSITIVE_INFINITY);
  #readAtMs = Number.NEGATIVE_INFINITY;
  #readAtDescriptor = 0;

  constructor(monotonicMs = () => performance.now(), openFiles: () => number | undefined = openFilesLimit) {
    this.#monotonicMs = monotonicMs;
    this.#openFiles = openFiles;
  }

  /** Whether a new client connection with this descriptor may stay; also if its number is unknown. */
  allowsClient(descriptor: number | undefined): boolean {
    return descriptor === undefined || descriptor < this.#limitsAt(descriptor).clients;
  }

  /** Whether the admin server may keep its others beside a new connection with this descriptor. */
  allowsAdmin(descriptor: number | undefined): boolean {
    return descriptor === undefined || descriptor < this.#limitsAt(descriptor).admin;
  }

  /**
   * A socket that fails with EMFILE, in place of an upstream connection for which there is no descriptor; undefined if
   * there is one.
   */
  socketWithoutDescriptor(): Socket | undefined {
    const descriptor = lowestUnused();
    if (descriptor !== undefined && descriptor < this.#limitsAt(descriptor).upstreams) return undefined;
    const socket = new Socket();
    socket.destroy(Object.assign(new Error("no file descriptor for an upstream connection"), { code: "EMFILE" }));
    return socket;
  }

  #limitsAt(descriptor: number): DescriptorLimits {
    const nowMs = this.#monotonicMs();
    if (nowMs - this.#readAtMs < rereadMs && descriptor < this.#readAtDescriptor + rereadAfter) return this.#limits;
    this.#readAtMs = nowMs;
    this.#readAtDescriptor = descriptor;
    const openFiles = this.#openFiles();
    if (openFiles !== undefined) this.#limits = descriptorLimits(openFiles);
    return this.#limits;
  }
}

/** Reading the limit costs as much as a request, so it is read again after this time, or this many more descriptors. */
const rereadMs = 100;
const rereadAfter = 16;

/** Undefined if every descriptor is in use. */
function lowestUnused(): number | undefined {
  try {
    const descriptor = openSync(devNull, "r");
    closeSync(descriptor);
    return descriptor;
  } catch {
    return undefined;
  }
}

/** Held open: when it is needed most, there is no descriptor to open it with. */
let limitsFile: number | undefined;

/** The soft limit, which Node has raised to the hard one at startup; undefined if there is none or it is unknown. */
function openFilesLimit(): number | undefined {
  try {
    limitsFile ??= openSync("/proc/self/limits", "r");
    const bytes = Buffer.alloc(4_096);
    const found = /^Max open files +(\d+) /m.exec(
      bytes.toString("latin1", 0, readSync(limitsFile, bytes, 0, 4_096, 0)),
    );
    return found?.[1] === undefined ? undefined : Number(found[1]);
  } catch {
    return undefined;
  }
}

/** Of this thread; the numbers are the process's. */
export const descriptorReserve = new DescriptorReserve();

/** One client connection and one upstream connection. */
const descriptorsPerConnection = 2;
const minConnections = 32;

/** The maximum number of connections per listener and worker that a limit on open files allows. */
export function fittingConnections(listeners: number, openFiles = openFilesLimit()): number {
  if (openFiles === undefined) return Number.POSITIVE_INFINITY;
  return Math.max(minConnections, Math.floor((openFiles - maxReserve) / descriptorsPerConnection / listeners));
}
