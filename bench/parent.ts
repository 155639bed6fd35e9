/** The other side of `Child`: messages of a program that the benchmark started. */

/** Ends this program with the benchmark. */
export function endWithParent(): void {
  process.once("disconnect", () => process.exit(0));
}

export function tellParent(message: object): void {
  if (process.send === undefined) throw new Error("This program is started by the benchmark, not by hand.");
  process.send(message);
}
