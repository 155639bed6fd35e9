import { readFileSync, readlinkSync } from "node:fs";
import { devNull } from "node:os";

export interface AncestorWatch {
  /**
   * SIGHUP has come, and does not end Perch. Under nohup it ends npm and its shell, since Node undoes what nohup does, so
   * the watch ends.
   */
  hungUp(): void;
  close(): void;
}

const pollMs = 500;

/** Started through these, npm outlives what started it. bash and zsh name the started program in `_`. */
const detaching = /\/(?:nohup|setsid)$/;

/**
 * Watches the processes that started this one as far as they are of its process group: npm, the shell that npm starts,
 * and a script or `sh -c` around npm, unless that has started npm in the background. An interactive shell, a supervisor
 * and process 1 of a container are of other groups. Where there is no /proc, the parent alone is watched.
 */
export function watchAncestors(ended: (why: string) => void): AncestorWatch {
  const { links, outlivesHangUp } = chainUpwards();
  const timer = setInterval(() => {
    if (links.every(({ pid, parent }) => parentOf(pid) === parent)) return;
    clearInterval(timer);
    ended("npm, or a shell around it, has ended");
  }, pollMs);
  timer.unref();
  const close = () => clearInterval(timer);
  return { close, hungUp: () => outlivesHangUp && close() };
}

interface Link {
  readonly pid: number;
  readonly parent: number;
}

interface Chain {
  readonly links: readonly Link[];
  /** Whether the topmost process was started through nohup or setsid. */
  readonly outlivesHangUp: boolean;
}

/** A process that has ended is noticed by its child, which gets another parent. */
function chainUpwards(): Chain {
  const links: Link[] = [{ pid: process.pid, parent: process.ppid }];
  const group = read(process.pid)?.group;
  let outlivesHangUp = false;
  for (let pid = process.ppid; pid > 1 && group !== undefined; ) {
    const found = read(pid);
    outlivesHangUp = isDetached(pid);
    if (found?.group !== group || isInBackground(pid, found.parent)) break;
    const above = read(found.parent);
    if (above?.group !== group) break;
    // npm and its shell inherit the variable, what started nohup does not have it.
    if (outlivesHangUp && !isDetached(found.parent)) break;
    links.push({ pid, parent: found.parent });
    pid = found.parent;
  }
  return { links, outlivesHangUp };
}

function parentOf(pid: number): number | undefined {
  return pid === process.pid ? process.ppid : read(pid)?.parent;
}

/** The parent and the process group (proc_pid_stat(5)); undefined if the process has ended, or without /proc. */
function read(pid: number): { readonly parent: number; readonly group: number } | undefined {
  try {
    // The second field is the program's name in parentheses, and may contain anything.
    const fields = readFileSync(`/proc/${pid}/stat`, "latin1").replace(/^.*\)/s, "").trim().split(" ");
    return { parent: Number(fields[1]), group: Number(fields[2]) };
  } catch {
    return undefined;
  }
}

/** A shell without job control gives an empty stdin to what it starts with `&` (POSIX, Asynchronous Lists). */
function isInBackground(pid: number, parent: number): boolean {
  const above = stdinOf(parent);
  return stdinOf(pid) === devNull && above !== undefined && above !== devNull;
}

function stdinOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/fd/0`);
  } catch {
    return undefined;
  }
}

function isDetached(pid: number): boolean {
  try {
    const variables = readFileSync(`/proc/${pid}/environ`, "latin1").split("\0");
    return variables.some((variable) => variable.startsWith("_=") && detaching.test(variable));
  } catch {
    return false;
  }
}
