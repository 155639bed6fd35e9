import { translated } from "./language.ts";

/** Lists that are long on some machines. */
export const listWords = translated(
  {
    showAll: (count: string) => `Show all ${count}`,
    showFirst: (count: string) => `Show the first ${count} only`,
  },
  {
    showAll: (count) => `显示全部 ${count} 条`,
    showFirst: (count) => `只显示前 ${count} 条`,
  },
);
