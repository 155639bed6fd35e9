import type { EndpointReport } from "../../admin/endpoint-report.ts";
import type { RolloutBody } from "../../admin/rollout-body.ts";
import type { LostReason } from "../store/event-stream.ts";
import { translated } from "./language.ts";

const reasons = {
  en: {
    unreachable: "the server is unreachable",
    silent: "the server stopped sending data",
    ended: "the server closed the connection",
    hidden: "the page was hidden",
  },
  zh: { unreachable: "无法连接", silent: "对方不再响应", ended: "对方结束了连接", hidden: "页面曾被隐藏" },
} as const;

/** Why a stream was lost, as a clause. */
export const lostWhy = {
  en: (why: LostReason) => (typeof why === "number" ? `the server returned status ${why}` : reasons.en[why]),
  zh: (why: LostReason) => (typeof why === "number" ? `对方回应 ${why}` : reasons.zh[why]),
};

/** What every page shows. */
export const shellWords = translated(
  {
    pages: {
      overview: "Overview",
      release: "Release",
      explain: "Explain",
      plan: "Plan",
      decisions: "Live decisions",
      events: "Events",
    },
    navigation: "Pages",
    skip: "Skip to content",
    language: "中文",
    languageLabel: "切换到中文",
    theme: { system: "System theme", light: "Light theme", dark: "Dark theme" },
    themeLabel: "Change theme; current",
    connection: {
      connecting: "Connecting…",
      open: "Live",
      lost: "Disconnected",
      refused: "Not signed in",
    },
    silent: "No data",
    lost: (why: LostReason) => `Connection to Perch lost: ${lostWhy.en(why)}. Reconnecting automatically.`,
    stale: (time: string) => `This page shows data as of ${time}.`,
    signIn: "Sign in",
    signOut: "Sign out",
    token: "Admin token",
    tokenHint:
      "From the file that admin.tokenFile names. The page keeps it in memory only, until you close or reload it.",
    notAToken: "A token contains only ASCII characters and no spaces.",
    readNeedsToken: "Sign in with the admin token to see this server.",
    cancel: "Cancel",
    loading: "Loading…",
    failed: (detail: string) => `Failed: ${detail}`,
    unreachable: "The server cannot be reached.",
    phases: {
      pending: "Pending",
      progressing: "Progressing",
      paused: "Paused",
      holding: "Holding",
      "rolling-back": "Rolling back",
      "rolled-back": "Rolled back",
      completed: "Completed",
      aborted: "Aborted",
    } satisfies Record<RolloutBody["phase"], string>,
    health: { up: "Up", failing: "Failing", ejected: "Ejected", refused: "Refused" } satisfies Record<
      EndpointReport["state"],
      string
    >,
    configRejected: (at: string) =>
      `The file changed at ${at} and was rejected. The previous configuration stays active.`,
    configProblem: "Show problem",
    restartNeeded: (keys: string) => `Restart Perch to apply changes to ${keys}.`,
  },
  {
    pages: {
      overview: "概览",
      release: "发布",
      explain: "解释",
      plan: "预演",
      decisions: "实时决策",
      events: "事件",
    },
    navigation: "页面",
    skip: "跳到正文",
    language: "English",
    languageLabel: "Switch to English",
    theme: { system: "跟随系统", light: "浅色", dark: "深色" },
    themeLabel: "切换主题；当前",
    connection: { connecting: "连接中…", open: "实时", lost: "已断开", refused: "未登录" },
    silent: "没有新数据",
    lost: (why) => `与 Perch 的连接已断开：${lostWhy.zh(why)}。页面会自动重连。`,
    stale: (time) => `本页的数据都不晚于 ${time}。`,
    signIn: "登录",
    signOut: "退出",
    token: "管理令牌",
    tokenHint: "来自 admin.tokenFile 所指的文件。它只保存在本页的内存中，关闭或刷新页面后即消失。",
    notAToken: "令牌不含空格，只含 ASCII 字符。",
    readNeedsToken: "此服务器只向持有管理令牌的人显示内容。",
    cancel: "取消",
    loading: "加载中…",
    failed: (detail) => `操作未成功：${detail}`,
    unreachable: "无法连接服务器。",
    phases: {
      pending: "未开始",
      progressing: "推进中",
      paused: "已暂停",
      holding: "等待数据",
      "rolling-back": "回滚中",
      "rolled-back": "已回滚",
      completed: "已完成",
      aborted: "已中止",
    },
    health: { up: "正常", failing: "检查失败", ejected: "已摘除", refused: "拒绝连接" },
    configRejected: (at) => `文件在 ${at} 有改动，但未被接受；之前的配置继续生效。`,
    configProblem: "查看问题",
    restartNeeded: (keys) => `需要重启 Perch 才能应用对 ${keys} 的修改。`,
  },
);
