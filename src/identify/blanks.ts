/** Optional whitespace between the parts of a header's value: spaces and tabs (RFC 9110 §5.6.3). */

/** The first position from `from` on that holds no blank; the text's length where only blanks follow. */
export function skipBlanks(text: string, from: number): number {
  let at = from;
  while (isBlank(text.charCodeAt(at))) at++;
  return at;
}

/** The position after the last character before `from` that is no blank; 0 where only blanks come before. */
export function skipBlanksBack(text: string, from: number): number {
  let at = from;
  while (at > 0 && isBlank(text.charCodeAt(at - 1))) at--;
  return at;
}

/** False for the NaN beyond either end. */
function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}
