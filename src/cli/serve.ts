import { App, StartError } from "../app/app.ts";
import type { ConfigSource } from "../app/config-source.ts";
import { defaultWarmUp } from "../app/warm-up.ts";
import { parseKeyReference, referenceProblem } from "../config/key-reference.ts";
import { parseDuration } from "../config/schema-kit/scalars.ts";
import { type LogLevel, logLevels } from "../observe/log.ts";
import { type Command, type ExitCode, type OptionValues, type Terminal, textOption, UsageError } from "./command.ts";
import { quickConfig } from "./load-config.ts";
import { StopSignals } from "./stop-signals.ts";

const defaultDrainDelay = "0s";
const defaultDrainTimeout = "30s";
const defaultWarmUpLimit = "2s";
/** Longer values are probably typos. */
const maxDrainMs = 24 * 60 * 60 * 1000;

export const serve: Command = {
  usage: `(-c FILE | --to URL [--canary URL --weight PERCENT])

  -c, --config FILE       the configuration; default: PERCH_CONFIG. In Kubernetes also
                          kubernetes://configmap/NAMESPACE/NAME/KEY (or secret), followed by the API
      --config-cache FILE  keep what was read from the Kubernetes API for a start without it: the last good
                          configuration, and in FILE.secrets the Secrets that it names
      --to URL            instead of a file: forward everything to this origin
      --canary URL        with --to: the origin of a second version
      --weight PERCENT    with --canary: its share of the users; default 10
      --listen ADDRESS    with --to: host:port to listen on; default "*:8080"
      --admin ADDRESS     with --to: host:port of the admin server; default 127.0.0.1:9901
      --state-dir DIR     where state.json is kept, if the file names no state file; default: PERCH_STATE_DIR
      --drain-delay TIME  on SIGTERM or SIGINT, keep serving for this long while not ready; default ${defaultDrainDelay}
      --drain-timeout TIME  then wait this long for requests to finish; default ${defaultDrainTimeout}
      --warm-up TIME      before serving, spend at most this long on compiling the code, so that the first users do
                          not wait for it; default ${defaultWarmUpLimit}; 0s: none
      --log-level LEVEL   ${logLevels.join(", ")}; default: PERCH_LOG_LEVEL, else info

SIGHUP forces a reload check. SIGTERM and SIGINT (Ctrl-C) drain; a second one stops within half a second. Perch also
drains when its terminal closes and, if npm started it, when npm or a shell around it ends.`,
  options: {
    config: { type: "string", short: "c" },
    "config-cache": { type: "string" },
    to: { type: "string" },
    canary: { type: "string" },
    weight: { type: "string" },
    listen: { type: "string" },
    admin: { type: "string" },
    "state-dir": { type: "string" },
    "drain-delay": { type: "string" },
    "drain-timeout": { type: "string" },
    "warm-up": { type: "string" },
    "log-level": { type: "string" },
  },
  async run({ options, positionals }, terminal) {
    if (positionals.length > 0)
      throw new UsageError(`unexpected argument "${positionals[0]}"; pass the configuration with -c FILE`);
    const drainDelayMs = duration(options, "drain-delay", defaultDrainDelay);
    const drainTimeoutMs = duration(options, "drain-timeout", defaultDrainTimeout);
    const limitMs = duration(options, "warm-up", defaultWarmUpLimit);
    const warmUp = limitMs === 0 ? undefined : { ...defaultWarmUp, limitMs };
    const source = configSource(options, terminal);
    const logLevel = levelOf(options, terminal);
    // An empty variable counts as unset.
    const stateDir = textOption(options, "state-dir") ?? (terminal.env["PERCH_STATE_DIR"] || undefined);
    try {
      const start = () =>
        App.start({ source, env: terminal.env, logLevel, stateDir, drainDelayMs, drainTimeoutMs, warmUp });
      return await serveUntilStopped(start, terminal.env);
    } catch (error) {
      if (!(error instanceof StartError)) throw error;
      for (const problem of error.problems) terminal.err(`${problem}\n`);
      return 2;
    }
  },
};

/** Limits a stop at once: whatever still runs after this time, such as the last write of the access log, is given up. */
const stopNowMs = 300;

/** Starts the app, and serves until a signal has stopped it. Rejects as `start` does. */
async function serveUntilStopped(start: () => Promise<App>, env: Terminal["env"]): Promise<ExitCode> {
  const { promise: drained, resolve: end } = Promise.withResolvers<ExitCode>();
  let app: App | undefined;
  let stopping = false;
  const signals = new StopSignals(
    {
      stop: (why) => {
        // Nothing is served while Perch starts, so there is nothing to drain.
        if (app === undefined) process.exit(1);
        app.drain(why).then(
          () => end(0),
          () => end(1),
        );
      },
      stopNow: () => {
        if (stopping) process.exit(1);
        stopping = true;
        setTimeout(() => process.exit(1), stopNowMs).unref();
        end(1);
      },
      hangUp: () => app?.reload(),
    },
    env,
  );
  try {
    app = await start();
    const code = await drained;
    await app.stop().catch(() => {});
    return code;
  } finally {
    signals.release();
  }
}

/** The file, or without one a configuration generated from the flags. */
function configSource(options: OptionValues, terminal: Terminal): ConfigSource {
  const to = textOption(options, "to");
  const flag = textOption(options, "config");
  if (to === undefined) {
    for (const name of ["canary", "weight", "listen", "admin"]) {
      if (options[name] !== undefined) throw new UsageError(`--${name} needs --to; with -c, set it in the file`);
    }
    const path = flag ?? terminal.env["PERCH_CONFIG"];
    if (path === undefined || path === "")
      throw new UsageError("no configuration: pass -c FILE, or --to URL to run without a file");
    return followedSource(path, textOption(options, "config-cache"));
  }
  if (options["config-cache"] !== undefined) throw new UsageError("--config-cache needs -c");
  if (flag !== undefined) throw new UsageError("-c and --to cannot be used together");
  return {
    kind: "text",
    name: "(command line)",
    text: quickConfig({
      to,
      canary: textOption(options, "canary"),
      weight: textOption(options, "weight"),
      listen: textOption(options, "listen"),
      admin: textOption(options, "admin"),
    }),
  };
}

function followedSource(path: string, cacheFile: string | undefined): ConfigSource {
  const problem = referenceProblem(path);
  if (problem !== undefined) throw new UsageError(`"${path}" ${problem}`);
  const reference = parseKeyReference(path);
  return reference === undefined ? { kind: "file", path, cacheFile } : { kind: "kubernetes", reference, cacheFile };
}

function duration(options: OptionValues, name: string, fallback: string): number {
  const text = textOption(options, name) ?? fallback;
  const ms = parseDuration(text);
  if (ms === undefined) throw new UsageError(`--${name} "${text}" is not a duration such as 500ms, 30s or 5m`);
  if (ms > maxDrainMs) throw new UsageError(`--${name} "${text}" is longer than a day`);
  return ms;
}

/** An empty PERCH_LOG_LEVEL counts as unset. */
function levelOf(options: OptionValues, terminal: Terminal): LogLevel {
  const text = textOption(options, "log-level") ?? (terminal.env["PERCH_LOG_LEVEL"] || "info");
  const level = logLevels.find((name) => name === text);
  if (level === undefined) throw new UsageError(`unknown log level "${text}"; the levels are ${logLevels.join(", ")}`);
  return level;
}
