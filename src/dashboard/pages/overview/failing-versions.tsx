import { percent } from "../../format/numbers.ts";
import { Badge } from "../../ui/badge.tsx";
import { overviewWords } from "../../words/overview.ts";
import type { FailingVersion } from "./attention.ts";

const shownFirst = 3;

/** One mark for each version whose users meet many errors. */
export function FailingVersions({ failing }: { readonly failing: readonly FailingVersion[] }) {
  const words = overviewWords.value;
  return (
    <>
      {failing.slice(0, shownFirst).map(({ version, share }) => (
        <Badge key={version} tone="bad" text={words.versionFails(version, percent(share, 2))} />
      ))}
      {failing.length > shownFirst && <Badge tone="bad" text={words.moreFail(failing.length - shownFirst)} />}
    </>
  );
}
