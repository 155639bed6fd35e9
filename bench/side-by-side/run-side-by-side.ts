/**
 * All shapes, one after the other. In each, every proxy is started and warmed up once, and then they are measured in
 * turns, back and forth, so that a machine that changes favours none.
 */
import type { ProxyName } from "../proxies.ts";
import { median } from "../spread.ts";
import type { User } from "../users.ts";
import type { Contender } from "./contenders.ts";
import { measureFixed, measureIdleMemory, measureSaturated, type Sample, type Window, warmUp } from "./measurements.ts";
import { base, type Row, RowDraft } from "./row.ts";
import type { Shape } from "./shapes.ts";
import { learnUsers, orVoid, Scene, type Stage } from "./stage.ts";
import { UpstreamsEnded } from "./upstreams.ts";

export interface SideBySideSettings {
  readonly contenders: readonly Contender[];
  /** Whose pins those without their own get; it need not take part. */
  readonly pinSource: Contender;
  readonly shapes: readonly Shape[];
  readonly rounds: number;
  /** Of each process, before its first measurement. */
  readonly warmUpMs: number;
  readonly saturated: Window;
  readonly fixed: Window;
  /** Where CPU time and latency are measured. Default: by the capacity of the proxies. */
  readonly requestsPerSecond: number | undefined;
}

/** Below saturation of those that are compared with one another. */
const shareOfSlowest = 0.6;
/** From here on the generator itself is late, since it shares its core with the upstreams. */
const maxGeneratedPerSecond = 20_000;
const maxGeneratedOverTlsPerSecond = 10_000;
const comparedProxies: readonly ProxyName[] = ["nginx", "haproxy", "perch-fast"];

export async function runSideBySide(
  stage: Stage,
  settings: SideBySideSettings,
  say: (line: string) => void,
): Promise<readonly Row[]> {
  const rows: Row[] = [];
  try {
    const crowds = await learnCrowds(stage, settings, say);
    for (const shape of settings.shapes) {
      const drafts = settings.contenders.map(
        (contender) => new RowDraft(shape, contender, crowds.get(contender)?.faults ?? new Set()),
      );
      const baseDraft = drafts.find(({ contender }) => contender.name === base);
      try {
        await measureShape(stage, settings, shape, drafts, crowds, say);
      } finally {
        rows.push(...drafts.map((draft) => draft.row(baseDraft)));
      }
    }
  } catch (error) {
    // The measurements so far still count.
    if (!(error instanceof UpstreamsEnded)) throw error;
    process.exitCode = 1;
    say(`The run ends here: ${error.message}`);
  }
  return rows;
}

/** The users of each contender; those who got no pins have none, and their rows are void. */
async function learnCrowds(
  stage: Stage,
  { contenders, pinSource }: SideBySideSettings,
  say: (line: string) => void,
): Promise<ReadonlyMap<Contender, Crowd>> {
  const shared = contenders.some(({ pins }) => pins === "shared") ? await learnUsers(stage, pinSource) : undefined;
  const crowds = new Map<Contender, Crowd>();
  for (const contender of contenders) {
    const outcome = { faults: new Set<string>(), notes: new Set<string>() };
    const isShared = shared !== undefined && (contender.pins === "shared" || contender === pinSource);
    const users = isShared ? shared : await orVoid(outcome, () => learnUsers(stage, contender));
    crowds.set(contender, { users: users ?? [], faults: outcome.faults });
    say(
      `${contender.name}: ${users === undefined ? [...outcome.faults].join("; ") : `${users.length} users have pins`}`,
    );
  }
  return crowds;
}

interface Crowd {
  readonly users: readonly User[];
  /** Why there are none. */
  readonly faults: ReadonlySet<string>;
}

async function measureShape(
  stage: Stage,
  settings: SideBySideSettings,
  shape: Shape,
  drafts: readonly RowDraft[],
  crowds: ReadonlyMap<Contender, Crowd>,
  say: (line: string) => void,
): Promise<void> {
  const rounds = Math.min(settings.rounds, shape.maxRounds);
  const openScene = (draft: RowDraft) => openWarm(stage, settings, draft, crowds.get(draft.contender)?.users ?? []);
  const inTurns = async (round: number, kind: string, measure: (draft: RowDraft) => Promise<Sample>) => {
    for (const draft of (round % 2 === 0 ? drafts : drafts.toReversed()).filter(({ isOpen }) => isOpen)) {
      const sample = (await orVoid(draft, () => measure(draft))) ?? {};
      draft.add(round, sample);
      const result = draft.isOpen ? describe(sample) : `void: ${[...draft.faults].join("; ")}`;
      say(`${shape.name}  round ${round + 1}/${rounds}  ${kind}  ${draft.contender.name}: ${result}`);
    }
  };
  if (shape.measures.includes("idle")) {
    for (let round = 0; round < rounds; round++) {
      await inTurns(round, "idle", async (draft) => {
        const scene = await openScene(draft);
        try {
          return await measureIdleMemory(stage, shape, scene);
        } finally {
          await scene.close();
        }
      });
    }
    return;
  }
  const scenes = new Map<RowDraft, Scene>();
  const inScenes = (round: number, kind: string, measure: (scene: Scene) => Promise<Sample>) =>
    inTurns(round, kind, async (draft) => {
      const scene = scenes.get(draft);
      return scene === undefined ? {} : measure(scene);
    });
  try {
    for (const draft of drafts.filter(({ isOpen }) => isOpen)) {
      const scene = await orVoid(draft, () => openScene(draft));
      if (scene === undefined) say(`${shape.name}  ${draft.contender.name} is void: ${[...draft.faults].join("; ")}`);
      else scenes.set(draft, scene);
    }
    for (let round = 0; round < rounds; round++) {
      if (shape.measures.includes("saturated")) {
        await inScenes(round, "saturated", (scene) => measureSaturated(stage, shape, scene, settings.saturated));
      }
      if (!shape.measures.includes("fixed")) continue;
      // The same in all rounds, for all proxies.
      const known = drafts[0]?.fixedRequestsPerSecond ?? shape.requestsPerSecond ?? settings.requestsPerSecond;
      const rate = known ?? rateBelowSaturation(drafts, shape);
      for (const draft of drafts) draft.fixedRequestsPerSecond = rate;
      await inScenes(round, `at ${rate}/s`, (scene) => measureFixed(stage, shape, scene, settings.fixed, rate));
    }
  } finally {
    for (const [draft, scene] of scenes) await orVoid(draft, () => scene.close());
  }
}

/** A proxy whose responses were checked and that is warm. */
async function openWarm(
  stage: Stage,
  { warmUpMs }: SideBySideSettings,
  draft: RowDraft,
  users: readonly User[],
): Promise<Scene> {
  const { shape, contender } = draft;
  const scene = await Scene.open(stage, contender, shape, users, draft);
  try {
    await scene.judge();
    if (draft.isOpen) await warmUp(stage, shape, scene, warmUpMs);
    return scene;
  } catch (error) {
    await scene.proxy.stop();
    throw error;
  }
}

function rateBelowSaturation(drafts: readonly RowDraft[], { tls }: Shape): number {
  const rateOf = ({ samples }: RowDraft) => median(samples.flatMap(({ requestsPerSecond }) => requestsPerSecond ?? []));
  const compared = drafts.filter(({ contender }) => comparedProxies.includes(contender.proxy));
  const rates = (compared.length > 0 ? compared : drafts).flatMap((draft) => rateOf(draft) ?? []);
  if (rates.length === 0) return 1_000;
  const most = tls ? maxGeneratedOverTlsPerSecond : maxGeneratedPerSecond;
  return Math.max(10, Math.floor(Math.min(most, shareOfSlowest * Math.min(...rates)) / 10) * 10);
}

function describe(sample: Sample): string {
  const { cpuUsPerRequest, saturatedCpuUsPerRequest, requestsPerSecond, p50Ms, p99Ms, p999Ms } = sample;
  if (requestsPerSecond !== undefined) {
    return `${saturatedCpuUsPerRequest?.toFixed(1) ?? "?"} µs CPU a request, ${Math.round(requestsPerSecond)} requests/s`;
  }
  if (p50Ms !== undefined) {
    const latencies = [p50Ms, p99Ms, p999Ms].map((ms) => ms?.toFixed(3)).join(", ");
    return `${cpuUsPerRequest?.toFixed(1) ?? "?"} µs CPU a request; p50, p99, p99.9 ${latencies} ms`;
  }
  if (sample.idleConnectionKiB !== undefined) return `${sample.idleConnectionKiB.toFixed(1)} KiB an idle connection`;
  return "not measured";
}
