import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import type { Crowd } from "./crowd.ts";
import type { Stage } from "./stage.ts";

/** A fault that lasts for a while. */
export interface Fault {
  readonly name: string;
  /** Failures of requests that no proxy can prevent; any other is an error. */
  readonly excuses: readonly string[];
  /** Begins the fault; the returned function ends it. */
  begin(stage: Stage, crowd: Crowd): Promise<() => Promise<void> | void>;
}

/** Only idempotent requests can be retried, and no response that has begun. */
const connectionLost = ["502 upstream-reset (upload)", "cut in the body"];

export const faults: readonly Fault[] = [
  { name: "nothing", excuses: [], begin: async () => () => {} },
  {
    name: "an endpoint is killed and restarted, twice a second",
    excuses: connectionLost,
    begin: async (stage) => {
      const [endpoint] = stage.endpointsOf("stable");
      if (endpoint === undefined) throw new TypeError("There is no endpoint to kill.");
      const loop = repeat(500, async () => {
        await endpoint.kill();
        await endpoint.start();
      });
      return () => loop.stop();
    },
  },
  {
    name: "all of canary is gone",
    // A retry meets the second endpoint, and perhaps as it is killed.
    excuses: [...connectionLost, "502 upstream-reset (GET)"],
    begin: async (stage, crowd) => {
      crowd.fallback = "allowed";
      const endpoints = stage.endpointsOf("canary");
      await Promise.all(endpoints.map((endpoint) => endpoint.kill()));
      return async () => {
        await Promise.all(endpoints.map((endpoint) => endpoint.start()));
        // The first request after the pause notices that it is back, or pauses it again if the machine is too busy to
        // connect in time; until then stable serves.
        while ((await stage.perch?.hasAllEndpoints()) === false) await elapsed(50);
        crowd.fallback = "forbidden";
      };
    },
  },
  misbehaviour("reset in the head", 0.05, ["502 upstream-reset (upload)", "502 upstream-reset (GET)"]),
  misbehaviour("reset in the body", 0.05, ["cut in the body"]),
  misbehaviour("garbage", 0.05, ["502 upstream-malformed (GET)", "502 upstream-malformed (upload)"]),
  misbehaviour("unasked answers", 0.2, ["502 upstream-reset (upload)"]),
  misbehaviour("silence", 0.05, ["504 upstream-timeout (GET)", "504 upstream-timeout (upload)"]),
  misbehaviour("delay", 0.5, []),
  misbehaviour("slow drip", 0.3, []),
  {
    name: "an endpoint hangs, its accept queue fills",
    excuses: [
      "504 upstream-timeout (GET)",
      "504 upstream-timeout (upload)",
      // A body of which the endpoint took only the first bytes.
      "cut in the body",
    ],
    begin: async (stage) => {
      const [endpoint] = stage.endpointsOf("stable");
      endpoint?.freeze();
      return () => endpoint?.thaw();
    },
  },
  {
    name: "a good configuration every 100 ms",
    excuses: [],
    begin: async (stage) => {
      const loop = repeat(100, async () => stage.reload("good"));
      return () => loop.stop();
    },
  },
  {
    name: "a good and a bad configuration every 100 ms",
    excuses: [],
    begin: async (stage) => {
      let turn = 0;
      const loop = repeat(100, async () => stage.reload(turn++ % 2 === 0 ? "bad" : "good"));
      return async () => {
        await loop.stop();
        stage.reload("good");
      };
    },
  },
  {
    name: "secrets rotate every 300 ms",
    excuses: [],
    begin: async (stage) => {
      const loop = repeat(300, async () => stage.rotateSecrets());
      return () => loop.stop();
    },
  },
  {
    name: "certificates are swapped every 300 ms",
    excuses: [],
    begin: async (stage, crowd) => {
      crowd.transport = "tls";
      const loop = repeat(300, async () => stage.swapCertificates());
      return async () => {
        await loop.stop();
        crowd.transport = "tcp";
      };
    },
  },
  {
    name: "Perch is replaced, drained, three times",
    excuses: [],
    begin: async (stage) => {
      const replaced = (async () => {
        for (let turn = 0; turn < 3; turn++) await replacePerch(stage, "/dev/null");
      })();
      return () => replaced;
    },
  },
  {
    name: "the access log's disk is full",
    excuses: [],
    begin: async (stage) => {
      await replacePerch(stage, "/dev/full");
      return () => replacePerch(stage, "/dev/null");
    },
  },
  {
    name: "200 clients that send a header now and then",
    excuses: [],
    begin: async (stage) => {
      const clients = connections(stage, 200);
      const loop = repeat(500, async () => {
        for (const client of clients) client.write("x-slow: 1\r\n");
      });
      for (const client of clients) client.write("GET /shop?bytes=1 HTTP/1.1\r\nhost: slow\r\n");
      return async () => {
        await loop.stop();
        for (const client of clients) client.destroy();
      };
    },
  },
  {
    name: "Perch is out of file descriptors",
    excuses: [
      "reset (GET)",
      "reset (upload)",
      "refused (GET)",
      "refused (upload)",
      "503 overloaded (GET)",
      "503 overloaded (upload)",
    ],
    begin: async (stage) => {
      const pid = stage.perch?.pid ?? 0;
      const [soft = "", hard = ""] = openFilesLimit(pid);
      const open = readdirSync(`/proc/${pid}/fd`).length;
      setOpenFilesLimit(pid, String(open + 4), hard);
      const clients = connections(stage, 100);
      return () => {
        for (const client of clients) client.destroy();
        setOpenFilesLimit(pid, soft, hard);
      };
    },
  },
];

function misbehaviour(kind: Parameters<Stage["misbehave"]>[0]["kind"], share: number, excuses: string[]): Fault {
  return {
    name: `upstreams: ${kind}, ${share * 100} %`,
    excuses,
    begin: async (stage) => {
      stage.misbehave({ kind, share });
      return () => stage.misbehave({ kind: "none", share: 0 });
    },
  };
}

/** As a rolling update: the next instance is ready before the last one drains. */
async function replacePerch(stage: Stage, accessLog: string): Promise<void> {
  const last = stage.perch;
  stage.perch = await stage.startPerch(accessLog);
  const code = await last?.drain();
  if (code !== 0) throw new Error(`Perch ended with ${code} when it was drained`);
}

function connections(stage: Stage, count: number): Socket[] {
  const { port } = new URL(stage.origin);
  return Array.from({ length: count }, () => connect(Number(port), "127.0.0.1").on("error", () => {}));
}

/** Repeats an action, one at a time, until it is stopped. */
function repeat(everyMs: number, act: () => Promise<void>): { stop(): Promise<void> } {
  let running = true;
  const ended = (async () => {
    while (running) {
      await act();
      await elapsed(everyMs);
    }
  })();
  return {
    stop: () => {
      running = false;
      return ended;
    },
  };
}

/** The soft and hard limit. */
function openFilesLimit(pid: number): readonly string[] {
  const line = readFileSync(`/proc/${pid}/limits`, "utf8").match(/^Max open files\s+(\S+)\s+(\S+)/m);
  return line === null ? [] : line.slice(1);
}

function setOpenFilesLimit(pid: number, soft: string, hard: string): void {
  execFileSync("prlimit", ["--pid", String(pid), `--nofile=${soft}:${hard}`]);
}

function elapsed(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
