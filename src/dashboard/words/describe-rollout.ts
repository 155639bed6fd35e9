import type { RolloutBody } from "../../admin/rollout-body.ts";

/**
 * The Chinese sentence of a rollout, from its figures: the server writes English. Reasons stay as they were given, for
 * people and programs write them.
 */
export function describeRollout(rollout: RolloutBody): string {
  const { phase, candidate } = rollout;
  const why = rollout.why.trim().replace(/[.。]+$/, "");
  switch (phase) {
    case "pending":
      return `尚未开始：${why}。`;
    case "progressing":
      return `${place(rollout)}${rest(rollout)}；${verdicts(rollout)}。${next(rollout)}`;
    case "holding":
      if (rollout.step === 0) return `已启动，仍在等待：${why}。放行后会自动开始。`;
      return `${place(rollout)}，正在等待：${why}。条件满足后会自动继续。${failing(rollout)}`;
    case "paused":
      return `已暂停${at(rollout)}：${why}。\`resume\` 继续，\`rollback\` 撤下 ${candidate}。${failing(rollout)}`;
    case "rolling-back":
    case "rolled-back":
      return `已回滚${at(rollout)}：${why}。没有用户会分到 ${candidate}；要重试，请给 rollout 一个新的 \`id\`。`;
    case "completed":
      return `已完成：所有用户都使用 ${candidate}。从配置中移除 rollout 时，请在同一次修改中把 split 的全部权重给 ${candidate}，否则用户会回到 split 所指的版本。`;
    case "aborted":
      return `已中止：${why}。现在由 split 决定分流。`;
  }
}

function place({ step, steps, weight }: RolloutBody): string {
  const planned = steps[step - 1];
  const isRaised = planned?.weight != null && planned.title === `${planned.weight} %` && weight > planned.weight;
  const title = stepTitle(planned?.title ?? "");
  return `第 ${step} 步，共 ${steps.length} 步：${isRaised ? `${weight} %（计划为 ${title}）` : title}`;
}

function at(rollout: RolloutBody): string {
  return rollout.step === 0 ? "（第一步之前）" : `（${place(rollout)}）`;
}

function rest({ step, steps }: RolloutBody): string {
  const { holdMs = 0, heldMs = 0 } = steps[step - 1] ?? {};
  return holdMs > heldMs ? `，还需 ${inWords(holdMs - heldMs)}` : "，停留时间已满";
}

function verdicts(rollout: RolloutBody): string {
  const names = failedNames(rollout);
  return names === "" ? "没有检查失败" : `检查 ${names} 失败`;
}

function failing(rollout: RolloutBody): string {
  const names = failedNames(rollout);
  return names === "" ? "" : `检查 ${names} 失败。`;
}

function failedNames({ checks }: RolloutBody): string {
  return checks.flatMap(({ name, verdict }) => (verdict === "fail" ? [name] : [])).join("、");
}

function next({ step, steps }: RolloutBody): string {
  const following = steps[step];
  return following === undefined ? "这是最后一步。" : `接着是第 ${step + 1} 步（${stepTitle(following.title)}）。`;
}

/** Of a step's title as the plan has it: `10 %`, `50 % of ring cn-east` or `pause`. */
export function stepTitle(title: string): string {
  if (title === "pause") return "暂停";
  const [, weight, ring] = /^(.+ %) of ring (.+)$/s.exec(title) ?? [];
  return ring === undefined ? title : `分组 ${ring} 的 ${weight}`;
}

const units = [
  ["天", 86_400_000],
  ["小时", 3_600_000],
  ["分钟", 60_000],
  ["秒", 1_000],
] as const;

/** Rounded up, in the two largest units, with seconds only below a minute: as the server's sentence has it. */
function inWords(ms: number): string {
  const smallestMs = ms > 59_000 ? 60_000 : 1_000;
  let left = Math.ceil(ms / smallestMs) * smallestMs;
  const words: string[] = [];
  for (const [name, unitMs] of units) {
    const amount = Math.floor(left / unitMs);
    left -= amount * unitMs;
    if (amount > 0) words.push(`${amount} ${name}`);
  }
  return words.slice(0, 2).join(" ");
}
