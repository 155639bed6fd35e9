/** Places of values between two gaps: a line does not show them. */
export function lonelyPoints(values: readonly (number | null | undefined)[]): number[] {
  const lonely: number[] = [];
  for (const [index, value] of values.entries()) {
    if (value != null && values[index - 1] == null && values[index + 1] == null) lonely.push(index);
  }
  return lonely;
}
