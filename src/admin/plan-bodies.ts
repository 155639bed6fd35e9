import type { SplitPlan } from "../plan/split-plan.ts";

/** What `POST /api/plan` answers: what the configuration given would do, were it the file. */
export type PlanAnswer =
  /** It would not be loaded: all problems, as `perch validate` prints them. */
  | { readonly kind: "invalid"; readonly problems: readonly string[] }
  /** `plan`: what `perch plan --json` prints of the active configuration and this one. */
  | { readonly kind: "planned"; readonly warnings: readonly string[]; readonly plan: object }
  /** No answer now: too many plans are being made, or this one took too long. */
  | { readonly kind: "busy"; readonly message: string };

export type PreviewAnswer =
  | { readonly kind: "preview"; readonly preview: SplitPlan }
  | { readonly kind: "no-release"; readonly message: string }
  | { readonly kind: "invalid"; readonly message: string }
  | { readonly kind: "busy"; readonly message: string };

/** What configurations would do. Both are worked out beside the threads that serve. */
export interface Planner {
  plan(text: string): Promise<PlanAnswer>;
  previewSplit(release: string, split: Readonly<Record<string, number>>): Promise<PreviewAnswer>;
}
