/** Answers of both versions, and how many of them were bad. */
interface Window {
  baseline: number;
  baselineBad: number;
  candidate: number;
  candidateBad: number;
}

/** A judge that looks at answers, not at users. */
export interface Rival {
  /** Returns whether it would roll back now. */
  answer(isCandidate: boolean, isBad: boolean): boolean;
}

const lookEvery = 500;
/** One side, 1 %. */
const criticalZ = 2.326;

const emptyWindow = (): Window => ({ baseline: 0, baselineBad: 0, candidate: 0, candidateBad: 0 });

function count(window: Window, isCandidate: boolean, isBad: boolean): void {
  if (isCandidate) {
    window.candidate += 1;
    if (isBad) window.candidateBad += 1;
  } else {
    window.baseline += 1;
    if (isBad) window.baselineBad += 1;
  }
}

/**
 * The candidate's share of bad answers is over 2 % in three windows, as Argo Rollouts' `failureLimit` and Flagger's
 * `threshold` count them. A window has 2,000 answers of both versions: a minute at 33 requests a second.
 */
export class ThresholdRule implements Rival {
  #window = emptyWindow();
  #failed = 0;

  answer(isCandidate: boolean, isBad: boolean): boolean {
    const window = this.#window;
    count(window, isCandidate, isBad);
    if (window.baseline + window.candidate < 2_000) return false;
    if (window.candidateBad > 0.02 * window.candidate) this.#failed += 1;
    this.#window = emptyWindow();
    return this.#failed >= 3;
  }
}

/** Two proportions of answers, compared at 1 % every 500 answers. */
export class ZTest implements Rival {
  readonly #all = emptyWindow();

  answer(isCandidate: boolean, isBad: boolean): boolean {
    const all = this.#all;
    count(all, isCandidate, isBad);
    const answers = all.baseline + all.candidate;
    if (answers % lookEvery !== 0 || all.baseline === 0 || all.candidate === 0) return false;
    const pooled = (all.baselineBad + all.candidateBad) / answers;
    const deviation = Math.sqrt(pooled * (1 - pooled) * (1 / all.baseline + 1 / all.candidate));
    return all.candidateBad / all.candidate - all.baselineBad / all.baseline > criticalZ * deviation && deviation > 0;
  }
}

/**
 * The Mann-Whitney U test at 98 % (two sides), as Kayenta's judge compares a metric's points: each is the share of bad
 * answers in 500. Normal approximation with the correction for ties; without Kayenta's bounds on the size of the effect.
 */
export class MannWhitney implements Rival {
  #window = emptyWindow();
  readonly #points: { readonly value: number; readonly isCandidate: boolean }[] = [];

  answer(isCandidate: boolean, isBad: boolean): boolean {
    const window = this.#window;
    count(window, isCandidate, isBad);
    if (window.baseline + window.candidate < lookEvery) return false;
    const { baseline, baselineBad, candidate, candidateBad } = window;
    this.#window = emptyWindow();
    if (baseline > 0) this.#points.push({ value: baselineBad / baseline, isCandidate: false });
    if (candidate > 0) this.#points.push({ value: candidateBad / candidate, isCandidate: true });
    return this.#points.length >= 10 && this.#z() > criticalZ;
  }

  #z(): number {
    const sorted = this.#points.toSorted((a, b) => a.value - b.value);
    const total = sorted.length;
    let [rankSum, candidates, ties] = [0, 0, 0];
    for (let from = 0; from < total; ) {
      let to = from;
      while (to < total && sorted[to]?.value === sorted[from]?.value) to += 1;
      const tied = sorted.slice(from, to).filter(({ isCandidate }) => isCandidate).length;
      rankSum += (tied * (from + 1 + to)) / 2;
      candidates += tied;
      ties += (to - from) ** 3 - (to - from);
      from = to;
    }
    const product = candidates * (total - candidates);
    const u = rankSum - (candidates * (candidates + 1)) / 2;
    const variance = (product / 12) * (total + 1 - ties / (total * (total - 1)));
    return variance > 0 ? (u - product / 2) / Math.sqrt(variance) : 0;
  }
}
