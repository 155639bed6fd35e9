import { expect, test } from "vitest";
import type { EndpointReport } from "../../src/admin/endpoint-report.ts";
import type { LiveRelease } from "../../src/admin/live/live-bodies.ts";
import {
  byAttention,
  endpointsOf,
  failingChecks,
  failingVersions,
  type ReleaseView,
  strandedEndpoints,
} from "../../src/dashboard/pages/overview/attention.ts";
import { check, rollout } from "./rollout-fixture.ts";

const releaseOf = (release: string, ...versions: readonly string[]): LiveRelease => ({
  ...{ release, unit: "pin", baseline: "stable", candidate: "canary", rules: [], routes: [], configuredSplit: null },
  services: ["shop"],
  versions: versions.map((version) => ({ version, configuredShare: null })),
  isDirected: true,
});

const endpoint = (version: string, state: EndpointReport["state"]): EndpointReport => ({
  ...{ service: "shop", version, endpoint: `http://${version}`, state, why: null, since: null, triedAgainAt: null },
  ...{ checked: null, singleUseUntil: null },
});

const view = (name: string, rest: Partial<ReleaseView> = {}): ReleaseView => ({
  ...{ release: releaseOf(name, "stable", "canary"), rollout, endpoints: [endpoint("stable", "up")], failing: [] },
  ...rest,
});

test("what needs attention comes first, and among equals the file's order stays", () => {
  const views = [
    view("fine"),
    view("without", { rollout: undefined }),
    view("holding", { rollout: { ...rollout, phase: "holding" } }),
    view("paused", { rollout: { ...rollout, phase: "paused" } }),
    view("down", { endpoints: [endpoint("canary", "ejected")] }),
    view("failing", { rollout: { ...rollout, phase: "paused", checks: [check("errors", { verdict: "fail" })] } }),
    view("errors", { rollout: undefined, failing: [{ version: "stable", share: 0.2 }] }),
    view("back", { rollout: { ...rollout, phase: "rolled-back" } }),
    view("fine too"),
  ];
  const names = byAttention(views).map(({ release }) => release.release);
  expect(names).toEqual(["back", "failing", "errors", "down", "paused", "holding", "fine", "without", "fine too"]);
});

test("endpoints are those of the release's versions in its services", () => {
  const all = [
    endpoint("stable", "up"),
    endpoint("other", "failing"),
    endpoint("canary", "refused"),
    { ...endpoint("canary", "refused"), service: "pages" },
  ];
  const versions = endpointsOf(releaseOf("shop", "stable", "canary"), all).map(({ version }) => version);
  expect(versions).toEqual(["stable", "canary"]);
});

test("a release without a rollout has no failing checks", () => {
  expect(failingChecks(undefined)).toEqual([]);
});

const tickOf = (requests: number, failed: number) => ({
  ...{ point: null, share: null, expectedShare: null, decisions: 0, placed: 0 },
  minute: { spanMs: 60_000, requests, failed, p50: null, p95: null, p99: null },
  fiveMinutes: { spanMs: 300_000, requests, failed, p50: null, p95: null, p99: null },
});

test("a version fails from one request in twenty on, if more than a few fail; the worst comes first", () => {
  const ticks = {
    fine: tickOf(1_000, 49),
    few: tickOf(4, 4),
    idle: tickOf(0, 0),
    some: tickOf(100, 5),
    all: tickOf(9, 9),
  };
  expect(failingVersions(ticks)).toEqual([
    { version: "all", share: 1 },
    { version: "some", share: 0.05 },
  ]);
});

test("endpoints that are down are not overlooked because no release decides on their service", () => {
  const all = [
    endpoint("canary", "refused"),
    { ...endpoint("only", "failing"), service: "pages" },
    { ...endpoint("only", "up"), service: "pages" },
  ];
  const stranded = strandedEndpoints([releaseOf("shop", "stable", "canary")], all);
  expect(stranded.map(({ service, state }) => [service, state])).toEqual([["pages", "failing"]]);
});
