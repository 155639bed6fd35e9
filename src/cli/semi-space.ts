/**
 * V8 lets the young generation grow to 32 MiB and more under load, most of it dead. Measured at 64 connections in the fast
 * lane: 130 MiB resident with this, and 110 with 4 MiB, which cost a tenth more CPU time and four times the pauses.
 */
const flag = "--max-semi-space-size";
const mebibytes = 16;

/**
 * Starts this process over with the young generation bounded: V8 reads the bound before it runs any script. The process
 * id, the descriptors and the arguments stay. Whoever gives the flag, by argument or NODE_OPTIONS, decides; where the
 * system can not replace a running program (Windows), nothing happens.
 */
export function boundSemiSpace(): void {
  const { execve, execArgv, argv, execPath, env } = process;
  const isSet = [...execArgv, env["NODE_OPTIONS"] ?? ""].some((options) => options.includes(flag));
  if (isSet || execve === undefined || process.platform === "win32") return;
  execve.call(process, execPath, [execPath, `${flag}=${mebibytes}`, ...execArgv, ...argv.slice(1)], env);
}
