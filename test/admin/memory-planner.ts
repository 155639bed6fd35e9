import type { PlanAnswer, Planner, PreviewAnswer } from "../../src/admin/plan-bodies.ts";

/** Answers what it was told to, and keeps what it was asked. */
export class MemoryPlanner implements Planner {
  readonly asked: unknown[] = [];
  planned: PlanAnswer = { kind: "planned", warnings: ["a warning"], plan: { units: 1 } };
  preview: PreviewAnswer = {
    kind: "preview",
    preview: { moved: 0.1, moves: [{ from: "stable", to: "canary", share: 0.1 }], after: { stable: 0.8, canary: 0.2 } },
  };

  async plan(text: string): Promise<PlanAnswer> {
    this.asked.push(text);
    return this.planned;
  }

  async previewSplit(release: string, split: Readonly<Record<string, number>>): Promise<PreviewAnswer> {
    this.asked.push([release, split]);
    return this.preview;
  }
}
