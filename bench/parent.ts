/** The other side of `Child`: what a program started by the benchmark says to it. */

/** Ends this program when the benchmark is gone, however that ended. */
export function endWithParent(): void {
  process.once("disconnect", () => process.exit(0));
}

export function tellParent(message: object): void {
  if (process.send === undefined) throw new Error("This program is started by the benchmark, not by hand.");
  process.send(message);
}
