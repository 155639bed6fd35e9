/** Users, and how many of them met a bad answer. */
export interface ShareCounts {
  readonly bad: number;
  readonly users: number;
  /** Undefined: exact. Else the users are known within this share, such as 0.02. */
  readonly within: number | undefined;
}

export type Interval = readonly [low: number, high: number];

/** Bisection's steps: the interval's ends are exact to a billionth. */
const halvings = 40;

/**
 * A confidence sequence of a share: with probability `1 - alpha` it is in the interval at every moment at once.
 *
 * It has the shares `p` against which the evidence is below `1/alpha`. The evidence is the likelihood of what was seen
 * under a mixture of all shares (Jeffreys' beta prior) by that under `p`: a martingale if `p` is true, for users in the
 * order in which they came first. A user who returns and only then meets a bad answer turns from good to bad, so the
 * estimate is that of bad users among users so far. The lower end stays right for the share that they will have in the
 * end, since it rises with each bad one; the upper end applies to what has happened so far.
 *
 * Sources: Robbins, Statistical methods related to the law of the iterated logarithm (1970); Howard, Ramdas, McAuliffe,
 * Sekhon, Time-uniform, nonparametric, nonasymptotic confidence sequences (2021); Waudby-Smith, Ramdas, Estimating means
 * of bounded random variables by betting (2023).
 */
export function shareInterval({ bad, users, within = 0 }: ShareCounts, alpha: number): Interval {
  return [lowEnd(bad, users * (1 + within), alpha), highEnd(bad, Math.max(bad, users * (1 - within)), alpha)];
}

/** A confidence sequence of how much the first share exceeds the second: those of both, each with half of `alpha`. */
export function differenceInterval(first: ShareCounts, second: ShareCounts, alpha: number): Interval {
  const [low, high] = shareInterval(first, alpha / 2);
  const [otherLow, otherHigh] = shareInterval(second, alpha / 2);
  return [low - otherHigh, high - otherLow];
}

function lowEnd(bad: number, users: number, alpha: number): number {
  if (bad === 0 || users === 0) return 0;
  return bisect(bad, users, alpha, 0);
}

function highEnd(bad: number, users: number, alpha: number): number {
  return users === bad ? 1 : bisect(bad, users, alpha, 1);
}

/** Between `outer`, which is ruled out, and the estimate, which is not, there is one end. */
function bisect(bad: number, users: number, alpha: number, outer: 0 | 1): number {
  const limit = Math.log(1 / alpha);
  const mixture = logBeta(bad + 0.5, users - bad + 0.5) - logBeta(0.5, 0.5);
  let out: number = outer;
  let inside = bad / users;
  for (let step = 0; step < halvings; step++) {
    const middle = (out + inside) / 2;
    const likelihood = bad * Math.log(middle) + (users - bad) * Math.log1p(-middle);
    if (mixture - likelihood < limit) inside = middle;
    else out = middle;
  }
  return out;
}

function logBeta(a: number, b: number): number {
  return logGamma(a) + logGamma(b) - logGamma(a + b);
}

/** Stirling's series, after moving the argument to where five terms are exact to the last digits. */
function logGamma(argument: number): number {
  let x = argument;
  let shift = 0;
  for (; x < 12; x += 1) shift += Math.log(x);
  const inverse = 1 / (x * x);
  const series = (1 / 12 - inverse * (1 / 360 - inverse * (1 / 1260 - inverse * (1 / 1680 - inverse / 1188)))) / x;
  return (x - 0.5) * Math.log(x) - x + 0.5 * Math.log(2 * Math.PI) + series - shift;
}
