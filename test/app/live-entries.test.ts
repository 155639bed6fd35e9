import { describe, expect, it } from "vitest";
import { EndpointChanges } from "../../src/app/endpoint-changes.ts";
import { reloadEntry, rolloutEntry } from "../../src/app/live-entries.ts";
import type { ConfigStatus } from "../../src/app/reloader.ts";
import { diagnoseFile } from "../../src/config/schema-kit/diagnostics.ts";
import { ActivityLog } from "../../src/observe/live/activity-log.ts";
import { EndpointRegistry, noopEndpointEvents } from "../../src/upstream/endpoint-registry.ts";
import { event } from "../admin/memory-rollouts.ts";
import { activeSnapshot } from "../kit/snapshot.ts";

const before: ConfigStatus = {
  file: "perch.yaml",
  hash: "a".repeat(64),
  loadedAtMs: 0,
  warnings: [],
  lastError: undefined,
  restartNeeded: [],
};
const problem = diagnoseFile("perch.yaml", "something is wrong");

describe("a reload in the log", () => {
  it.each([
    {
      sentence: "tells what became of the hash",
      change: { hash: "b".repeat(64) },
      wanted: ["info", "configuration reloaded: aaaaaaaaaaaa → bbbbbbbbbbbb", null],
    },
    {
      sentence: "tells that a rejected file was taken back",
      change: {},
      wanted: ["info", "configuration reloaded: the hash is aaaaaaaaaaaa as before", null],
    },
    {
      sentence: "warns of what needs a restart",
      change: { hash: "b".repeat(64), restartNeeded: ["listeners", "workers"] },
      wanted: [
        "warn",
        "configuration reloaded: aaaaaaaaaaaa → bbbbbbbbbbbb; restart Perch to apply changes to listeners, workers",
        null,
      ],
    },
    {
      sentence: "has the warnings of the new file",
      change: { hash: "b".repeat(64), warnings: [problem] },
      wanted: [
        "warn",
        "configuration reloaded: aaaaaaaaaaaa → bbbbbbbbbbbb",
        expect.stringContaining("something is wrong"),
      ],
    },
    {
      sentence: "has the problems of a file that was rejected",
      change: { lastError: { atMs: 1, problems: [problem] } },
      wanted: [
        "error",
        "configuration reload rejected; the previous configuration stays active",
        expect.stringContaining("something is wrong"),
      ],
    },
  ])("$sentence", ({ change, wanted }) => {
    const { level, text, detail } = reloadEntry({ ...before, ...change }, before);
    expect([level, text, detail]).toEqual(wanted);
  });

  it("does not have all problems of a file that is wrong everywhere", () => {
    const problems = Array.from({ length: 1_000 }, () => problem);
    const { detail } = reloadEntry({ ...before, lastError: { atMs: 1, problems } }, before);
    expect(detail?.split("something is wrong").length).toBe(21);
    expect(detail).toMatch(/\nand 980 more$/);
  });
});

it("a transition of a rollout is told at its own time, with its checks", () => {
  expect(rolloutEntry(event(7, { type: "rolled-back", atMs: 5, by: "perch" }))).toEqual({
    kind: "rollout",
    type: "rolled-back",
    level: "warn",
    release: "shop",
    by: "perch",
    text: "why of 7",
    detail: "errors: not-enough-data; 1 of 100 users met an error",
    atMs: 5,
    step: 2,
    weight: 10,
    phase: "progressing",
  });
});

describe("changes of endpoints", () => {
  function changing(endpoints: number) {
    const registry = new EndpointRegistry(noopEndpointEvents);
    const origins = Array.from({ length: endpoints }, (_, at) => `"http://127.0.0.1:${at + 1}"`);
    activeSnapshot(
      `services: { shop: { versions: { stable: { endpoints: [${origins}] } } } }\nroutes: [{ name: all, service: shop }]`,
      { endpoints: registry },
    );
    const activity = new ActivityLog(() => 0);
    const changes = new EndpointChanges(activity);
    const all = [...registry.all()];
    return {
      all,
      look(of = all) {
        const last = activity.after(0).at(-1)?.id ?? 0;
        changes.look(of);
        return activity.after(last).map(({ type, level, text }) => [type, level, text]);
      },
      times() {
        return activity.after(0).map(({ atMs }) => atMs);
      },
    };
  }

  it("are told once each, and not of those that were never down", () => {
    const { all, look, times } = changing(2);
    expect(look()).toEqual([]);
    all[0]?.health.refused(1_000);
    expect(look()).toEqual([
      ["refused", "warn", "endpoint http://127.0.0.1:1 of shop/stable is refused: connect-failed"],
    ]);
    expect(look()).toEqual([]);
    all[0]?.health.reached(2_000);
    expect(look()).toEqual([["up", "info", "endpoint http://127.0.0.1:1 of shop/stable is up again: reached"]]);
    expect(times()).toEqual([1_000, 2_000]);
  });

  it("of one that is removed while it is down are none", () => {
    const { all, look } = changing(2);
    all[0]?.health.refused(1_000);
    look();
    expect(look(all.slice(1))).toEqual([]);
  });

  it("drive out nothing else when thousands change at once", () => {
    const { all, look } = changing(1_000);
    for (const endpoint of all) endpoint.health.refused(1_000);
    const told = look();
    expect(told.length).toBe(21);
    expect(told.at(-1)).toEqual(["more", "warn", "980 more endpoints changed"]);
  });
});
