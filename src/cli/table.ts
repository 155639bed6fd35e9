/** How a column stands: numbers to the right, so that their digits line up. */
export type Alignment = "left" | "right";

const gap = "  ";

/** Rows as aligned lines, without blanks at their ends. Columns beyond `alignments` stand to the left. */
export function formatTable(rows: readonly (readonly string[])[], alignments: readonly Alignment[] = []): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [at, cell] of row.entries()) widths[at] = Math.max(widths[at] ?? 0, cell.length);
  }
  return rows.map((row) =>
    row
      .map((cell, at) => (alignments[at] === "right" ? cell.padStart(widths[at] ?? 0) : cell.padEnd(widths[at] ?? 0)))
      .join(gap)
      .trimEnd(),
  );
}
