import { parentPort } from "node:worker_threads";
import type { TrafficCounts } from "../../src/observe/live/traffic-counts.ts";
import type { RolloutReport } from "../../src/observe/rollout/rollout-report.ts";
import type { Directions } from "../../src/observe/rollout/rollout-taps.ts";
import type { StartAnswer, WorkerCall, WorkerReply, WorkerRequest } from "../../src/workers/messages.ts";

/**
 * Serves nothing. It sends back, as a report, each call and the id of the rollout that it was directed to; one that was
 * directed to `silence` answers neither that nor what its traffic is, which is otherwise one hit of a rule.
 */
const post = (reply: WorkerReply) => parentPort?.postMessage(reply);
const none = { good: 0, failed: 0 };
const noAnswers = { baseline: none, candidate: none };

function echo(call: string, { traffic }: Directions): void {
  const id = traffic.get("shop")?.rollout?.id ?? "none";
  const report: RolloutReport = {
    release: call,
    id,
    sightings: [],
    drawn: noAnswers,
    placed: noAnswers,
    baselineDurations: [],
  };
  post({ kind: "rollout", report });
  if (id === "exit") process.exit(3);
}

const serving: StartAnswer = { kind: "serving", listeners: [] };
const traffic: TrafficCounts = new Map([["shop", { versions: new Map(), ruleHits: new Map([["qa", 1]]) }]]);
let isSilent = false;

function answerOf(call: WorkerCall): unknown {
  if (call === "traffic") return traffic;
  return call === "listen" ? serving : undefined;
}

parentPort?.on("message", ({ id, call, input }: WorkerRequest) => {
  if (call === "start") echo(call, (input as { directions: Directions }).directions);
  if (call === "direct" || call === "commit") echo(call, input as Directions);
  if (call === "direct" && (input as Directions).traffic.get("shop")?.rollout?.id === "silence") isSilent = true;
  if (isSilent && (call === "direct" || call === "traffic")) return;
  post({ kind: "answer", id, answer: answerOf(call) });
});
