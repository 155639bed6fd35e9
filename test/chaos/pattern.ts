/** Bodies that say whose they are: any byte that is missing, doubled or another request's shows. */

/** `length` characters, made of the id over and over. */
export function patternOf(id: string, length: number): string {
  const unit = `${id}|`;
  return unit.repeat(Math.ceil(length / unit.length)).slice(0, length);
}
