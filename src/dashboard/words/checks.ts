import type { Check } from "../pages/release/check-evidence.ts";
import { translated } from "./language.ts";

/** The checks of a rollout. */
export const checkWords = translated(
  {
    title: "Checks",
    none: "The rollout has no checks.",
    noRollout: "Only a rollout has checks.",
    verdicts: {
      pass: "Passes",
      fail: "Fails",
      "not-enough-data": "Not enough data",
    } satisfies Record<Check["verdict"], string>,
    metrics: {
      errors: "errors",
      slow: "slow responses",
      prometheus: "Prometheus",
      webhook: "gate",
      drift: "drift",
      cap: "cap",
      catastrophe: "candidate down",
    } satisfies Record<Check["metric"], string>,
    evidence: "Evidence",
    value: "Value",
    interval: "Possible range",
    limit: "Limit",
    since: (time: string) => `since ${time}`,
    /** Undefined where the server's own sentence says it. */
    compared: undefined as ((on: string, bad: string, candidate: string) => string) | undefined,
    byChance: (candidate: string, times: string) =>
      `If ${candidate} were no worse, fewer than one in ${times} rollouts would show evidence this strong.`,
  },
  {
    title: "检查",
    none: "该 rollout 没有检查。",
    noRollout: "检查随 rollout 一起配置。",
    verdicts: { pass: "通过", fail: "失败", "not-enough-data": "数据不足" },
    metrics: {
      errors: "错误",
      slow: "慢响应",
      prometheus: "Prometheus",
      webhook: "关卡",
      drift: "偏移",
      cap: "上限",
      catastrophe: "候选全部失败",
    },
    evidence: "证据",
    value: "数值",
    interval: "可能范围",
    limit: "限值",
    since: (time) => `自 ${time}`,
    compared: (on, bad, candidate) => `遇到问题的 ${bad} 名用户中有 ${on} 名在 ${candidate} 上。`,
    byChance: (candidate, times) => `若 ${candidate} 并不更差，每 ${times} 次 rollout 中出现这种情况的还不到一次。`,
  },
);
