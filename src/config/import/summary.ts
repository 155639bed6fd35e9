import type { DraftParts, Note } from "./draft.ts";

/** What an import took over, in numbers. */
export interface Summary {
  /** Routes of the result. */
  readonly routes: number;
  /** Routes of the original, and objects with routes, that are not in the result. */
  readonly leftOut: number;
  readonly lostProtections: number;
}

export function summaryOf({ routes }: DraftParts, notes: readonly Note[]): Summary {
  return {
    routes: routes.length,
    leftOut: notes.filter((note) => note.leftOut).length,
    lostProtections: notes.filter((note) => note.lostProtection).length,
  };
}

/** One sentence, as in "12 routes imported, 1 left out, 2 protections lost". */
export function summaryText({ routes, leftOut, lostProtections }: Summary): string {
  const imported = `${routes} ${routes === 1 ? "route" : "routes"} imported`;
  return `${imported}, ${leftOut} left out, ${lostProtections} ${lostProtections === 1 ? "protection" : "protections"} lost`;
}
