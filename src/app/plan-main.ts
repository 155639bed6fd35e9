import { isMainThread, parentPort } from "node:worker_threads";
import type { PlanJob, PlanReply } from "./plan-thread.ts";
import { PlannedConfig } from "./planned-config.ts";

if (isMainThread || parentPort === null) throw new TypeError("This file runs only as a worker thread of Perch.");
const port = parentPort;
let active: PlannedConfig | undefined;

port.on("message", (job: PlanJob) => port.postMessage(replyTo(job)));

function replyTo({ active: input, question }: PlanJob): PlanReply {
  try {
    if (input !== undefined) active = new PlannedConfig(input);
    if (active === undefined) throw new TypeError("a plan was asked for before the configuration was sent");
    if (question.kind === "plan") return { kind: "answer", answer: active.plan(question.text) };
    const { release, split, traffic } = question;
    return { kind: "answer", answer: { kind: "preview", preview: active.previewSplit(release, split, traffic) } };
  } catch (error) {
    active = undefined;
    return { kind: "failure", why: error instanceof Error ? String(error.stack) : String(error) };
  }
}
