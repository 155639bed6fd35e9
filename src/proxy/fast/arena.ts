import { latin1Write } from "../../node-internals.ts";

/**
 * The memory of the lane: one block for each thread, so that bytes move between its parts by `copyWithin`, which takes
 * 30 ns for a head; `set` with a view made for it takes twice that.
 *
 *     | reading area | slot | slot | … |
 *
 * **The reading area** is read into by every connection without a body in progress. Its bytes are those of the current
 * event: the next read overwrites them.
 *
 * **A slot** holds what is written to one socket (`outbox.ts`). It is free again once the kernel has taken the bytes,
 * mostly within the call that writes them.
 *
 * Whoever keeps bytes for longer than that copies them. `docs/architecture.md` has a picture of who owns what.
 */

/** Most bytes of one read: a head and 64 KiB of body fit in one, which costs 20 % less than two reads. */
export const readAreaBytes: number = 128 * 1024;
/** At least a record of TLS: after a pause Node still delivers those that it has, which then fit beside nothing else. */
export const slotBytes: number = 16 * 1024;
export const slotCount = 64;

const slotsStart = readAreaBytes;

/** The whole block. Positions in the reading area are positions in the block. */
export const arena: Buffer = Buffer.alloc(slotsStart + slotCount * slotBytes);
export const readArea: Buffer = arena.subarray(0, readAreaBytes);

export function slotStart(slot: number): number {
  return slotsStart + slot * slotBytes;
}

/**
 * A debug mode for tests: bytes are overwritten as soon as nobody owns them any more, so that whoever still reads them
 * gets rubbish. Set the environment variable `PERCH_POISON_BUFFERS` to 1; default off, for it takes as long as a request.
 */
const poisons = process.env["PERCH_POISON_BUFFERS"] === "1";
const poison = 0xdb;

/** The bytes from `from` to `to`, exclusive, belong to nobody from now on. */
export function abandon(bytes: Uint8Array, from: number, to: number): void {
  if (poisons) bytes.fill(poison, from, to);
}

/** Up to this length a loop is faster than a call into Node. */
const shortText = 40;

/** Writes Latin-1 text into the block at `at`, and returns the position after it. The caller has seen to the room. */
export function putText(text: string, at: number): number {
  const { length } = text;
  if (length > shortText) return at + latin1Write(arena, text, at);
  for (let i = 0; i < length; i++) arena[at + i] = text.charCodeAt(i);
  return at + length;
}

/** Copies bytes into the block at `at`, and returns the position after them. The caller has seen to the room. */
export function putBytes(bytes: Uint8Array, from: number, to: number, at: number): number {
  if (bytes === readArea) arena.copyWithin(at, from, to);
  else arena.set(bytes.subarray(from, to), at);
  return at + to - from;
}
