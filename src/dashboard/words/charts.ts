import { translated } from "./language.ts";

export const chartWords = translated(
  {
    title: "Live",
    span: "Time range of the charts",
    minutes: "5 min",
    hour: "1 h",
    zone: (offset: string) => `times in ${offset}`,
    charts: { requests: "Requests/s", failed: "Failed", p95: "p95", share: (version: string) => `Share of ${version}` },
    configured: "configured",
    observed: "observed",
    latest: (chart: string, values: string) => `${chart}, latest: ${values}`,
    markers: "Events",
    noMarkers: "No events in this time range.",
    failed: (why: string) => `The history could not be loaded: ${why}`,
    empty: "No requests in this time range.",
  },
  {
    title: "实时",
    span: "图表的时间范围",
    minutes: "5 分钟",
    hour: "1 小时",
    zone: (offset) => `时间为 ${offset}`,
    charts: { requests: "请求/秒", failed: "失败率", p95: "p95", share: (version) => `${version} 的占比` },
    configured: "配置",
    observed: "实际",
    latest: (chart, values) => `${chart}，最新：${values}`,
    markers: "发生的事",
    noMarkers: "此时间范围内没有事件。",
    failed: (why) => `无法加载历史数据：${why}`,
    empty: "此时间范围内没有请求。",
  },
);
