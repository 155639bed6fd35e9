import { lineFeed } from "./octets.ts";

const firstBytes = 4096;

/** The octets of a head that came in pieces, until it is complete. */
export class PartialHead {
  octets: Buffer;
  length = 0;

  constructor(octets: Uint8Array, from: number, to: number) {
    this.octets = Buffer.allocUnsafe(Math.max(firstBytes, to - from));
    this.append(octets, from, to);
  }

  /** True where the new piece can complete a line: else there is nothing new to look at. */
  append(octets: Uint8Array, from: number, to: number): boolean {
    const needed = this.length + to - from;
    if (needed > this.octets.length) {
      const larger = Buffer.allocUnsafe(Math.max(needed, this.octets.length * 2));
      larger.set(this.octets.subarray(0, this.length));
      this.octets = larger;
    }
    const piece = octets.subarray(from, to);
    this.octets.set(piece, this.length);
    this.length = needed;
    return piece.includes(lineFeed);
  }
}
