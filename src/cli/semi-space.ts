/**
 * By default V8 lets the young generation grow to 32 MiB and more under load, most of it garbage. A request of the fast lane
 * leaves less than a kilobyte, so 4 MiB last as long as 16 did before: the CPU time is the same, and 20 MiB are saved.
 */
const flag = "--max-semi-space-size";
const mebibytes = 4;

/**
 * Re-executes this process with a smaller semi-space, since V8 reads the flag only at startup. The process id,
 * descriptors and arguments stay the same. Does nothing if the flag is already set (by argument or NODE_OPTIONS), or on
 * Windows, which has no `execve`.
 */
export function boundSemiSpace(): void {
  const { execve, execArgv, argv, execPath, env } = process;
  const isSet = [...execArgv, env["NODE_OPTIONS"] ?? ""].some((options) => options.includes(flag));
  if (isSet || execve === undefined || process.platform === "win32") return;
  execve.call(process, execPath, [execPath, `${flag}=${mebibytes}`, ...execArgv, ...argv.slice(1)], env);
}
