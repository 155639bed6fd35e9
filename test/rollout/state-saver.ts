import { StateFile } from "../../src/rollout/state/state-file.ts";
import { rolloutEvent, savedState } from "./saved-states.ts";

/** A process that saves states with rising revisions, and acknowledges each on stdout, until it is killed. */
const [, , path = "", mode = "save"] = process.argv;

/** Large enough that a state takes several writes; every part of it has the revision. */
function stateOf(revision: number) {
  const events = Array.from({ length: 200 }, (_, id) => ({
    ...rolloutEvent,
    id,
    why: `${revision} ${"x".repeat(500)}`,
  }));
  return { ...savedState, revision, events };
}

const opening = await StateFile.open(path);
if (opening.kind === "in-use") {
  process.stdout.write(`${opening.problem}\n`);
} else {
  let revision = opening.saved?.revision ?? 0;
  const isWhole = (opening.saved?.events ?? []).every(({ why }) => why.startsWith(`${revision} `));
  process.stdout.write(`opened ${opening.problem ?? (isWhole ? revision : "a mixture")}\n`);
  // A process that holds the file and does nothing stays until it is killed.
  if (mode === "hold") setInterval(() => {}, 60_000);
  while (mode === "save") {
    const saving = await opening.file.save(stateOf(++revision));
    process.stdout.write(saving.kind === "saved" ? `saved ${revision}\n` : `${saving.why}\n`);
  }
}
