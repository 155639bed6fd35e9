import { randomFillSync, randomBytes as systemRandomBytes } from "node:crypto";
import type { RandomSource } from "../decide/unit.ts";

/** Enough for 128 units. */
const batchBytes = 1024;

/**
 * Random numbers for new units, fetched in batches: a system call for each would cost more than the rest of a decision.
 * `randomBytes` must be cryptographically secure; default: the system's generator.
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

/** UUIDs per batch. */
const batchSize = 512;
const uuidBytes = 16;
const uuidLength = 36;
const hyphen = 0x2d;

/**
 * Random UUIDs (version 4, RFC 9562 §5.4) like those of `randomUUID`, created in batches as slices of one string.
 * Measured to take a third of the time.
 */
export function batchedUuids(): () => string {
  const bytes = Buffer.allocUnsafeSlow(batchSize * uuidBytes);
  const letters = Buffer.alloc(batchSize * uuidLength, hyphen);
  let text = "";
  let next = 0;
  return () => {
    if (next === text.length) {
      randomFillSync(bytes);
      for (let id = 0; id < batchSize; id++) writeUuid(bytes, id * uuidBytes, letters, id * uuidLength);
      text = letters.toString("latin1");
      next = 0;
    }
    const start = next;
    next += uuidLength;
    return text.slice(start, next);
  };
}

/** The position of each byte in the text: 8-4-4-4-12 digits (RFC 9562 §4). */
const positions = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34] as const;
const digits = Buffer.from("0123456789abcdef", "latin1");

function writeUuid(bytes: Uint8Array, from: number, letters: Uint8Array, at: number): void {
  for (let i = 0; i < uuidBytes; i++) {
    let byte = bytes[from + i] as number;
    if (i === 6) byte = (byte & 0x0f) | 0x40;
    else if (i === 8) byte = (byte & 0x3f) | 0x80;
    const position = at + (positions[i] as number);
    letters[position] = digits[byte >> 4] as number;
    letters[position + 1] = digits[byte & 0x0f] as number;
  }
}
