/** Both lines of a sparkline in one look: the candidate's is dashed. */
interface SparklineProps {
  readonly label: string;
  /** 0 to 1, the oldest first; null is a gap. */
  readonly baseline: readonly (number | null)[];
  readonly candidate: readonly (number | null)[];
  /** The value at the top. */
  readonly top: number;
}

const [width, height] = [120, 28];

export function Sparkline({ label, baseline, candidate, top }: SparklineProps) {
  return (
    <svg class="sparkline" viewBox={`0 0 ${width} ${height}`} preserveAspectRatio="none" role="img" aria-label={label}>
      <path class="sparkline-ground" d={`M0 ${height - 1}H${width}`} />
      <path class="sparkline-baseline" d={pathOf(baseline, top)} />
      <path class="sparkline-candidate" d={pathOf(candidate, top)} />
    </svg>
  );
}

/** A value is a level piece of its slot, so that one between two gaps is seen too. */
function pathOf(values: readonly (number | null)[], top: number): string {
  const step = width / values.length;
  let path = "";
  let isOn = false;
  for (const [index, value] of values.entries()) {
    if (value !== null) {
      const y = (height - 1 - (height - 3) * Math.min(1, value / top)).toFixed(1);
      path += `${isOn ? "L" : "M"}${(index * step).toFixed(1)} ${y}H${((index + 1) * step).toFixed(1)}`;
    }
    isOn = value !== null;
  }
  return path;
}
