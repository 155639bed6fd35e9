/**
 * V8 lets the young generation grow to 32 MiB and more under load, most of it dead. Measured at 64 connections: 180 MiB
 * resident as it comes and 150 with this, for a twentieth more CPU time and shorter pauses.
 */
const flag = "--max-semi-space-size";
const mebibytes = 4;

/**
 * Starts this process over with the young generation bounded: V8 reads the bound before it runs any script. The process
 * id, the descriptors and the arguments stay. Whoever gives the flag, by argument or NODE_OPTIONS, decides; where the
 * system can not replace a running program (Windows), nothing happens.
 */
export function boundYoungGeneration(): void {
  const { execve, execArgv, argv, execPath, env } = process;
  const isSet = [...execArgv, env["NODE_OPTIONS"] ?? ""].some((options) => options.includes(flag));
  if (isSet || execve === undefined || process.platform === "win32") return;
  execve.call(process, execPath, [execPath, `${flag}=${mebibytes}`, ...execArgv, ...argv.slice(1)], env);
}
