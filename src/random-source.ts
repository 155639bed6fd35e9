import { randomBytes as systemRandomBytes } from "node:crypto";
import type { RandomSource } from "./decide/unit.ts";

/** Fetched at once: enough for 128 units. */
const batchBytes = 1024;

/**
 * Unpredictable numbers for new units, fetched by the kilobyte: asking the system for each would cost more than the
 * rest of a decision. `randomBytes` must be fit for secrets; default: the system's generator.
 */
export function batchedRandom(randomBytes: (size: number) => Uint8Array = systemRandomBytes): RandomSource {
  let batch: DataView = new DataView(new ArrayBuffer(0));
  let next = 0;
  return {
    int32() {
      if (next + 4 > batch.byteLength) {
        const bytes = randomBytes(batchBytes);
        batch = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
        next = 0;
      }
      const word = batch.getInt32(next, true);
      next += 4;
      return word;
    },
  };
}
