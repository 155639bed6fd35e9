import { fileURLToPath } from "node:url";
import { Child } from "../child.ts";
import type { RunningLoad } from "./running-load.ts";

interface WrkLoad {
  readonly file: string;
  readonly port: number;
  readonly tls: boolean;
  readonly cpu: number | undefined;
  readonly connections: number;
  readonly requestFile: string;
  readonly uploadBytes: number;
  /** The expected body of every response. */
  readonly bodyBytes: number;
}

const script = fileURLToPath(new URL("replay.lua", import.meta.url));
/** The time limit where it is not stopped. */
const maxSeconds = 60;
const endsWithinMs = 15_000;

/** wrk replaying a request file until it is stopped. */
export function startWrk(load: WrkLoad): RunningLoad {
  const { file, port, tls, connections, requestFile, uploadBytes } = load;
  const options = ["-t", "1", "-c", String(connections), "-d", `${maxSeconds}s`, "--timeout", "10s", "-s", script];
  const replayed = ["--", requestFile, String(uploadBytes)];
  const child = new Child({
    command: [file, ...options, `${tls ? "https" : "http"}://127.0.0.1:${port}/`, ...replayed],
    cpu: load.cpu,
    messages: false,
    output: "kept",
  });
  return {
    stop: async () => {
      child.interrupt();
      return complaintsOf(await child.outputAtEnd(endsWithinMs), load.bodyBytes);
    },
  };
}

/** The upstreams refuse wrong requests, so a wrong version or a missing header is a status of 400 or 409. */
function complaintsOf(output: string, bodyBytes: number): readonly string[] {
  const line = /^replayed (.*)$/m.exec(output)?.[1];
  if (line === undefined) return ["wrk did not report"];
  const [answers = 0, bytes = 0, connect = 0, read = 0, write = 0, status = 0, timeout = 0] = line
    .split(" ")
    .map(Number);
  const faults: string[] = [];
  if (answers === 0) faults.push("no request got a response");
  if (bytes < answers * bodyBytes)
    faults.push(`${answers} responses had ${bytes} bytes in all, too few for their bodies`);
  if (connect + read + write > 0) faults.push(`${connect + read + write} requests failed on the connection`);
  if (status > 0)
    faults.push(`${status} responses were not 2xx (the upstreams refuse a wrong version or no X-Forwarded-For)`);
  if (timeout > 0) faults.push(`${timeout} requests timed out`);
  return faults;
}
