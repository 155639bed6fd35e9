import type { PlanAnswer } from "../admin/plan-bodies.ts";
import { type ConfigSources, type LoadedConfig, type LoadResult, loadConfigText } from "../config/load.ts";
import { UnfitFileError, whyUnreadable } from "../config/named-files.ts";
import { type Diagnostic, formatDiagnostic, Problems } from "../config/schema-kit/diagnostics.ts";
import { type ConfigNode, type Position, SourceText } from "../config/schema-kit/tree.ts";
import { type Environment, parseYamlTree } from "../config/schema-kit/yaml-tree.ts";
import type { Weights } from "../decide/release-spec.ts";
import type { ReleaseTraffic } from "../decide/release-traffic.ts";
import { GeoDatabase } from "../identify/geo-database.ts";
import { planChange, stableSecret } from "../plan/plan.ts";
import { planSplit, type SplitPlan } from "../plan/split-plan.ts";
import { VariableMask } from "./variable-mask.ts";

/** The active configuration as it is sent to another thread, which compiles it again. */
export interface ActiveInput extends ConfigSources {
  /** The file's name in messages, and the base of relative paths. */
  readonly file: string;
  /** What the compiled one must have. */
  readonly hash: string;
  readonly env: Environment;
  readonly hasStateDir: boolean;
}

const planUnits = 10_000;
const previewUnits = 20_000;

const notGiven = whyUnreadable(new UnfitFileError("not-given"));
const ofFile = "the contents of this file cause a problem; run perch plan where the file is to see it";
const ofVariable = "the values of its variables cause a problem; run perch plan where they are set to see it";

/**
 * What the active configuration would become. Whoever asks may only read, so another text gets nothing that the active
 * one does not use: no other file, no other variable. And no answer shows what a file or a variable holds.
 */
export class PlannedConfig {
  readonly #input: ActiveInput;
  readonly #loaded: LoadedConfig;
  /** Variables that the active configuration refers to, and their values. */
  readonly #variables = new Map<string, string>();
  readonly #mask: VariableMask;

  /** Throws if the input does not compile to what is active. */
  constructor(input: ActiveInput) {
    this.#input = input;
    const loaded = this.#load(input.text, recording(input.env, this.#variables), () => true);
    if (!loaded.ok) throw new TypeError(`the configuration does not compile: ${loaded.problems[0]?.message}`);
    if (loaded.hash !== input.hash)
      throw new TypeError(`the configuration has the hash ${loaded.hash}, expected ${input.hash}`);
    this.#loaded = loaded;
    this.#mask = new VariableMask(this.#variables);
  }

  /** What this text would do in its place. */
  plan(text: string): PlanAnswer {
    const { file } = this.#input;
    const env = Object.fromEntries(this.#variables);
    const next = this.#load(text, env, (path) => this.#loaded.compiled.files.includes(path));
    const found = next.ok ? next.warnings : next.problems;
    const replaced = found.length === 0 || this.#variables.size === 0 ? [] : replacedPlaces(text, file, env);
    const told = found.map((diagnostic) => formatDiagnostic(this.#discreet(diagnostic, replaced)));
    if (!next.ok) return { kind: "invalid", problems: told };
    const plan = planChange({ ...this.#loaded, name: file }, { ...next, name: file }, planUnits);
    return { kind: "planned", warnings: told, plan: this.#mask.all(plan) };
  }

  /** `traffic`: what holds now beside the configuration. */
  previewSplit(release: string, split: Weights, traffic: ReleaseTraffic | undefined): SplitPlan {
    const { compiled } = this.#loaded;
    const spec = compiled.releases.find(({ name }) => name === release);
    if (spec === undefined) throw new TypeError(`the active configuration has no release ${release}`);
    return planSplit(compiled, spec, traffic, split, previewUnits);
  }

  #load(text: string, env: Environment, mayOpen: (path: string) => boolean): LoadResult {
    const { file, files, database, hasStateDir } = this.#input;
    return loadConfigText(text, {
      file,
      env,
      hasStateDir,
      nowMs: () => Date.now(),
      randomSecret: stableSecret,
      readFile(path) {
        const bytes = files.get(path);
        if (bytes === undefined) throw new UnfitFileError("not-given");
        return bytes;
      },
      openDatabase: (path) =>
        database === undefined || !mayOpen(path) ? { problem: notGiven } : GeoDatabase.open(database),
    });
  }

  /** The same diagnostic without what a file holds, and without the value of a variable or what it is like. */
  #discreet(diagnostic: Diagnostic, replaced: readonly Place[]): Diagnostic {
    const { code, message, suggestion } = diagnostic;
    const at = orderOf(diagnostic);
    if (replaced.some(({ start, end }) => at >= start && at <= end)) {
      return { ...diagnostic, message: ofVariable, suggestion: undefined };
    }
    const isOfFile = code === "bad-file" || Array.from(this.#input.files.keys()).some((path) => message.includes(path));
    const said = isOfFile && !message.endsWith(notGiven) ? ofFile : message;
    return { ...diagnostic, message: this.#mask.text(said), suggestion: suggestion && this.#mask.text(suggestion) };
  }
}

/** The same environment, which notes each variable that is asked for. */
function recording(env: Environment, asked: Map<string, string>): Environment {
  const recorded = {};
  for (const [name, value] of Object.entries(env)) {
    if (value === undefined) continue;
    const get = () => {
      asked.set(name, value);
      return value;
    };
    Object.defineProperty(recorded, name, { get });
  }
  return recorded;
}

/** From one position to another, both as `orderOf` has them. */
interface Place {
  readonly start: number;
  readonly end: number;
}

/** A number that grows from position to position of a text. */
function orderOf({ line, column }: Position): number {
  return line * 2 ** 22 + column;
}

/** Where the text has a value with a variable in it. */
function replacedPlaces(text: string, file: string, env: Environment): readonly Place[] {
  const source = new SourceText(file, text.replace(/^\ufeff/, ""));
  const tree = parseYamlTree(new Problems(source), env);
  const pending = tree === undefined ? [] : [tree];
  // An alias is the same node again, and may stand for a million of them.
  const seen = new Set<ConfigNode>(pending);
  const places: Place[] = [];
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    if (node.kind === "scalar" && node.replaced) {
      const [start, end] = [node.span.start, node.span.end].map((offset) => orderOf(source.position(offset)));
      if (start !== undefined && end !== undefined) places.push({ start, end });
    }
    for (const child of childrenOf(node)) {
      if (!seen.has(child)) pending.push(child);
      seen.add(child);
    }
  }
  return places;
}

function childrenOf(node: ConfigNode): readonly ConfigNode[] {
  if (node.kind === "list") return node.items;
  return node.kind === "map" ? node.entries.map(({ value }) => value) : [];
}
