import { cpSync, mkdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";

/** `COPY [--from=stage] source… target`. */
export interface Copy {
  readonly from: string | undefined;
  readonly sources: readonly string[];
  readonly target: string;
}

/** One stage of a Dockerfile, as far as a build without Docker needs it. */
export interface Stage {
  readonly name: string | undefined;
  readonly image: string;
  readonly instructions: readonly { readonly word: string; readonly rest: string }[];
}

/**
 * Reads a Dockerfile into its stages; comments are dropped and continued lines joined. An argument before the first stage
 * has its default in the names of images.
 */
export function readDockerfile(file: string): readonly Stage[] {
  const text = readFileSync(file, "utf8")
    .replace(/^\s*#.*\n/gm, "")
    .replace(/\\\n/g, " ");
  const defaults = new Map<string, string>();
  const stages: { name: string | undefined; image: string; instructions: { word: string; rest: string }[] }[] = [];
  for (const line of text.split("\n")) {
    const [, word, rest] = /^([A-Z]+)\s+(.*)$/.exec(line) ?? [];
    if (word === undefined || rest === undefined) continue;
    if (word === "FROM") {
      const [image = "", , name] = rest.split(/\s+/);
      const resolved = image.replace(/\$\{(\w+)\}/g, (written, argument) => defaults.get(argument) ?? written);
      stages.push({ name, image: resolved, instructions: [] });
    } else if (word === "ARG" && stages.length === 0) {
      const [argument = "", value = ""] = rest.split("=");
      defaults.set(argument, value);
    } else stages.at(-1)?.instructions.push({ word, rest: rest.trim() });
  }
  return stages;
}

/** The arguments of an instruction that the stage must have exactly once. */
export function only(stage: Stage, word: string): string {
  const [found, ...more] = stage.instructions.filter((instruction) => instruction.word === word);
  if (found === undefined || more.length > 0) throw new Error(`expected one ${word} in the stage from ${stage.image}`);
  return found.rest;
}

export function copiesIn(stage: Stage): readonly Copy[] {
  return stage.instructions
    .filter(({ word }) => word === "COPY")
    .map(({ rest }) => {
      const words = rest.split(/\s+/);
      const from = words[0]?.startsWith("--from=") ? words.shift()?.slice("--from=".length) : undefined;
      return { from, sources: words.slice(0, -1), target: words.at(-1) ?? "" };
    });
}

/** Copies as Docker does: a folder's contents, or a file into a target that ends in a slash. */
export function perform({ sources, target }: Copy, context: string, workdir: string): void {
  for (const source of sources) {
    const from = join(context, source);
    const into = target.endsWith("/") ? join(workdir, target, basename(source)) : join(workdir, target);
    mkdirSync(join(into, ".."), { recursive: true });
    cpSync(from, into, { recursive: true });
  }
}
