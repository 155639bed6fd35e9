import { rolloutSchema } from "../../sections/rollout.ts";
import { problemWith } from "../accepts.ts";
import { type Draft, resourceNameOf } from "../draft.ts";
import type { SourceObject } from "../source-object.ts";
import type { PlanChecks } from "./plan.ts";
import type { PlanSteps } from "./plan-steps.ts";

/** Where a hook stops the plan. */
type Gate = "before the first step" | "before each step" | "before everyone gets the candidate";

const gates: ReadonlyMap<string, Gate> = new Map([
  ["confirm-rollout", "before the first step"],
  ["pre-rollout", "before the first step"],
  ["confirm-traffic-increase", "before each step"],
  ["rollout", "before each step"],
  ["confirm-promotion", "before everyone gets the candidate"],
]);

/**
 * Hooks that allow something become checks that ask before a step. One whose answer depends on its `metadata`, which
 * Perch does not send, becomes a pause in the same place.
 */
export function readWebhooks(
  analysis: SourceObject,
  steps: PlanSteps,
  checks: PlanChecks,
  where: string,
  draft: Draft,
): void {
  const hooks = analysis.objects("webhooks").map((hook) => readHook(hook, where, draft));
  const pauses = hooks.flatMap((hook) => (hook?.kind === "pause" ? [hook.gate] : []));
  if (pauses.includes("before each step")) steps.pauseBeforeEachWeight();
  else if (pauses.includes("before the first step")) steps.pauseFirst();
  if (pauses.includes("before everyone gets the candidate")) steps.pause();
  const asked = hooks.flatMap((hook) => (hook?.kind === "webhook" ? [hook] : []));
  const isLast = asked.some(({ gate }) => gate === "before everyone gets the candidate");
  // The gate needs a step that it can stop.
  if (isLast) steps.setWeight(100);
  for (const { name, url, gate } of asked) {
    const beforeStep =
      gate === "before the first step" ? 1 : gate === "before each step" ? undefined : Math.max(steps.count, 1);
    checks.add(name, { webhook: { url }, ...(beforeStep === undefined ? {} : { beforeStep }) });
  }
  if (asked.length === 0) return;
  draft.note(
    where,
    "webhooks: Perch asks by POST with a body of its own ({ release, rollout, step }), again every 10 s until the answer is 2xx; the step waits, and nothing fails",
  );
}

type Hook =
  | { readonly kind: "pause"; readonly gate: Gate }
  | { readonly kind: "webhook"; readonly gate: Gate; readonly name: string; readonly url: string };

/** Undefined if the hook is left out, which is then noted. */
function readHook(hook: SourceObject, where: string, draft: Draft): Hook | undefined {
  const name = hook.text("name");
  const type = hook.text("type") || "rollout";
  const url = hook.text("url");
  const metadata = hook.object("metadata");
  const command = metadata.text("cmd");
  const isLoad = type === "rollout" && isLoadTest(metadata, command);
  const hasMetadata = metadata.keys().length > 0;
  hook.dismiss();
  const gate = gates.get(type);
  if (isLoad) {
    draft.note(
      where,
      `the load test ${name} (${command || url}) is not imported: start it by yourself where traffic is low`,
    );
    return undefined;
  }
  if (gate === undefined) {
    leaveOut(type, name, where, draft);
    return undefined;
  }
  const check = { name: resourceNameOf(name), webhook: { url } };
  const problem = problemWith(rolloutSchema, { id: "a", candidate: "a", steps: ["pause"], checks: [check] });
  if (!hasMetadata && problem === undefined) {
    if (type === "rollout") {
      const what = `the webhook ${name} was called in each interval, and its failures rolled back; here it is asked before each step, which waits`;
      draft.noteLostProtection(where, what);
    }
    return { kind: "webhook", gate, name: check.name, url };
  }
  const why = problem ?? "its answer depends on metadata, which Perch does not send";
  if (type === "rollout") {
    draft.noteLostProtection(where, `the webhook ${name}, a test in each interval, is not imported: ${why}`);
    return undefined;
  }
  const what = `the webhook ${name} (${type}) becomes a pause ${gate}, until a person resumes it: ${why}`;
  if (type === "pre-rollout") draft.noteLostProtection(where, what);
  else draft.note(where, what);
  return { kind: "pause", gate };
}

function leaveOut(type: string, name: string, where: string, draft: Draft): void {
  if (type === "rollback") {
    const instead = "use `perch rollout rollback`, or `command: rollback`";
    draft.noteLostProtection(where, `the webhook ${name} could roll back: no equivalent; ${instead}`);
    return;
  }
  const instead = "`rollout.notify` posts each transition, as JSON of Perch";
  draft.note(where, `the webhook ${name} (${type}) is not imported: ${instead}`);
}

/** The load tester runs these in the background, and answers at once. */
function isLoadTest(metadata: SourceObject, command: string): boolean {
  const type = metadata.text("type") || (command === "" ? "" : "cmd");
  return (
    type === "ngrinder" ||
    type === "k6" ||
    (type === "cmd" && /^(?:\S*\/)?(?:hey|ghz|wrk|k6|ab|vegeta|fortio)\b/.test(command))
  );
}
