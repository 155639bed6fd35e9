import { basename, resolve } from "node:path";
import { buildPrograms, type Programs, sourcePrograms } from "../programs.ts";
import { isPerch, nodePeerNames, type ProxyName } from "../proxies.ts";

/** A proxy of this run; there may be several builds of Perch. */
export interface Contender {
  /** Unique within the run. */
  readonly name: string;
  readonly proxy: ProxyName;
  readonly programs: Programs;
  /** Whose pins its users have: its own, or those of `base` beside the version's name. */
  readonly pins: "own" | "shared";
}

/** Those named, and the fast lane of each of the other checkouts, under its directory's name. */
export function contendersOf(
  proxies: readonly ProxyName[],
  checkouts: readonly string[],
  isBuilt: boolean,
): readonly Contender[] {
  const programsOf = isBuilt ? buildPrograms : sourcePrograms;
  const own = programsOf();
  const signs = (proxy: ProxyName) => isPerch(proxy) || nodePeerNames.some((name) => name === proxy);
  const contenders: readonly Contender[] = [
    ...proxies.map((proxy) => ({ name: proxy, proxy, programs: own, pins: signs(proxy) ? "own" : "shared" }) as const),
    ...checkouts.map((directory) => {
      const root = resolve(directory);
      return { name: basename(root), proxy: "perch-fast", programs: programsOf(root), pins: "own" } as const;
    }),
  ];
  const names = contenders.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new RangeError(`two proxies are named "${twice}"`);
  return contenders;
}
