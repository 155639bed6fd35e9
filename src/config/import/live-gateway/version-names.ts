import { rolloutWord } from "../../scalars.ts";
import { type DraftVersion, resourceNameOf } from "../draft.ts";
import type { LiveBackend } from "./live-backends.ts";
import { StableNames } from "./stable-names.ts";

/** Names of Services that say which version they are, as in `shop-canary`. */
const versionSuffix = /^(.+)-(canary|candidate|preview|beta|next|baseline|stable|primary|blue|green|v\d+)$/;

/**
 * Names for the backends of a rule: `canary` of `shop-canary`. Of several that want one name the first has it, so that a
 * further backend renames none of those before it.
 */
export function versionNames(backends: readonly LiveBackend[]): ReadonlyMap<LiveBackend, string> {
  const names = new StableNames({ services: [], releases: [], routes: [], cookies: [] });
  return new Map(
    backends.map((backend) => {
      const { identity, namespace, name, port } = backend;
      const exact = `${namespace}-${name}-${port}`;
      const wanted = [versionSuffix.exec(name)?.[2] ?? name, name, exact].map(validName);
      return [
        backend,
        wanted.find((one) => names.claim("version", one, identity)) ?? names.of("version", exact, identity),
      ];
    }),
  );
}

function validName(text: string): string {
  const name = resourceNameOf(text);
  return name === rolloutWord ? `${name}-1` : name;
}

/** What a rule with several backends is named after: `shop` of shop-stable, whatever stands beside it. */
export function stemOf([first = "none", ...others]: readonly string[]): string {
  return others.length === 0 ? first : (versionSuffix.exec(first)?.[1] ?? first);
}

/** A service's first version is its default, which serves where another cannot: whatever the weights are. */
export function baselineFirst(versions: readonly DraftVersion[]): readonly DraftVersion[] {
  const at = versions.findIndex(({ name }) => /^(?:stable|baseline|primary)$/.test(name));
  const first = versions[at];
  return first === undefined ? versions : [first, ...versions.toSpliced(at, 1)];
}
