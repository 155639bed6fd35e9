/** Takes the fields with these lower-case names out of a flat list (name, value, name, value), in place. */
export function removeFields(headers: string[], names: readonly string[]): void {
  for (let i = headers.length - 2; i >= 0; i -= 2) {
    if (names.includes((headers[i] ?? "").toLowerCase())) headers.splice(i, 2);
  }
}
