interface BarProps {
  /** 0 to 1. */
  readonly share: number;
  readonly tone?: "bad" | "good" | "plain";
}

/** How far along; what it shows is said in words beside it. */
export function Bar({ share, tone = "plain" }: BarProps) {
  return (
    <div class={`bar bar-${tone}`} aria-hidden="true">
      <div style={{ width: `${100 * Math.min(1, Math.max(0, share))}%` }} />
    </div>
  );
}
