import { translated } from "./language.ts";

/** An example for a file that has no release yet. */
export const firstRelease = `releases:
  shop:
    split: { stable: 90, canary: 10 }
routes:
  - { name: shop, service: shop, release: shop }
# stable and canary are the versions under services.shop.versions`;

export const overviewWords = translated(
  {
    title: "Overview",
    releases: (count: number) => (count === 1 ? "1 release" : `${count} releases`),
    filter: "Filter by name",
    noneFound: "No release name matches.",
    noRollout: "No rollout",
    noRolloutHow: (release: string) =>
      `The split decides. To move users step by step, add a plan: \`releases.${release}.rollout\`.`,
    noTraffic:
      "No traffic yet. Send a request to one of your listeners: `curl -i http://<listener>/<path of a route>`.",
    noRelease: "No release is configured.",
    noReleaseHow:
      "Every request goes to the default version of its service. Add a release to the configuration; this page shows it once the file is loaded:",
    example: "Example to paste",
    config: "Configuration",
    noFile: "not from a file",
    hash: "Hash",
    loaded: (time: string, ago: string) => `loaded ${ago} (${time})`,
    warnings: (count: number) =>
      count === 0 ? "no warnings" : count === 1 ? "1 warning" : `${count.toLocaleString("en")} warnings`,
    drawnRequests: "Drawn, last minute",
    stepUsers: "Users, this step",
    partOf: (part: string, all: string) => `${part} of ${all}`,
    shareOf: (candidate: string) => `Share of ${candidate}`,
    configured: (share: string) => `${share} configured`,
    errors: "Errors, last minute",
    perSecond: "Requests/s",
    sparkline: (version: string, most: string) => `${version}: peak ${most}`,
    sparklineLabel: (texts: string) => `Errors in the last five minutes. ${texts}`,
    fiveMinutes: (most: string) => `5 min, peak ${most}`,
    checks: (count: number) => (count === 1 ? "1 check failing" : `${count} checks failing`),
    checksFine: (count: number) => (count === 1 ? "1 check, not failing" : `${count} checks, none failing`),
    noChecks: "No checks",
    endpointsDown: (count: number) => (count === 1 ? "1 endpoint unhealthy" : `${count} endpoints unhealthy`),
    versionFails: (version: string, share: string) => `${version}: ${share} of requests fail`,
    moreFail: (count: number) => `${count} more versions fail`,
    otherServices: "Endpoints of services without a release",
    setBy: (split: string, by: string) => `Split ${split} set by ${by}`,
    until: (time: string) => ` until ${time}`,
    steps: (step: number, of: number) => `Step ${step} of ${of}`,
    stateProblem: (why: string) => `Rollout state at risk: ${why}`,
  },
  {
    title: "概览",
    releases: (count) => `${count} 个发布`,
    filter: "按名称筛选",
    noneFound: "没有名称匹配的发布。",
    noRollout: "没有 rollout",
    noRolloutHow: (release) =>
      `目前由 split 决定分流。要分步放量，请为该发布添加计划：\`releases.${release}.rollout\`。`,
    noTraffic: "还没有流量。向任一监听地址发一个请求：`curl -i http://<监听地址>/<路由的路径>`。",
    noRelease: "尚未配置发布。",
    noReleaseHow: "所有请求都发往各服务的默认版本。在配置中添加一个发布，文件加载后本页会立即显示它：",
    example: "可粘贴的示例",
    config: "配置",
    noFile: "不来自文件",
    hash: "哈希",
    loaded: (time, ago) => `${ago}加载（${time}）`,
    warnings: (count) => (count === 0 ? "没有警告" : `${count} 条警告`),
    drawnRequests: "抽取（最近一分钟）",
    stepUsers: "用户（本步骤）",
    partOf: (part, all) => `${part} / ${all}`,
    shareOf: (candidate) => `${candidate} 的占比`,
    configured: (share) => `配置为 ${share}`,
    errors: "错误（最近一分钟）",
    perSecond: "请求/秒",
    sparkline: (version, most) => `${version}：最高 ${most}`,
    sparklineLabel: (texts) => `最近五分钟的错误率。${texts}`,
    fiveMinutes: (most) => `5 分钟，最高 ${most}`,
    checks: (count) => `${count} 项检查失败`,
    checksFine: (count) => `${count} 项检查，均未失败`,
    noChecks: "没有检查",
    endpointsDown: (count) => `${count} 个端点不健康`,
    versionFails: (version, share) => `${version}：${share} 的请求失败`,
    moreFail: (count) => `另有 ${count} 个版本失败`,
    otherServices: "没有发布的服务的端点",
    setBy: (split, by) => `${by} 设置了分流 ${split}`,
    until: (time) => `，有效至 ${time}`,
    steps: (step, of) => `第 ${step} 步，共 ${of} 步`,
    stateProblem: (why) => `状态有丢失的风险：${why}`,
  },
);
