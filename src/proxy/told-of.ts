import type { Trail } from "../decide/trail.ts";

/** A trail whose steps say whose value they are about. */
export function toldOf(source: string, trail: Trail | undefined): Pick<Trail, "push"> | undefined {
  return (
    trail && {
      push: (...steps) => trail.push(...steps.map((step) => ({ ...step, detail: `${source}: ${step.detail}` }))),
    }
  );
}
