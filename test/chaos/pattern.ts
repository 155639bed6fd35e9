/** Bodies that identify their request: a missing, doubled or foreign byte is detected. */

/** `length` characters of the repeated id. */
export function patternOf(id: string, length: number): string {
  const unit = `${id}|`;
  return unit.repeat(Math.ceil(length / unit.length)).slice(0, length);
}
