import { ForeignShape, readBytes, savedBytes, savedRecord } from "./saved.ts";
import { mixUnit, remixUnit, UnitTable } from "./unit-table.ts";

/** Up to this many units are counted exactly. */
export const exactUnits = 10_000;

const indexBits = 15;
const registerCount = 2 ** indexBits;
/** A register has the position of the first one in 32 bits, or 33 if there is none. */
const maxRank = 33;

/**
 * Counts distinct units: exactly to 10,000, then by HyperLogLog with 32,768 registers (standard error 0.6 %, within 2 %
 * in 999 of 1,000 cases). At most 0.3 MB.
 *
 * Sources: Flajolet, Fusy, Gandouet, Meunier, HyperLogLog (2007); the estimator without bias at any size: Ertl, New
 * cardinality estimation algorithms for HyperLogLog sketches (2017), algorithm 6.
 */
export class DistinctUnits {
  #exact: UnitTable | undefined = new UnitTable();
  #registers: Uint8Array | undefined;
  /** How many registers have each rank. */
  readonly #ranks = new Int32Array(maxRank + 1);

  /** What `save` gave. */
  static restore(saved: unknown): DistinctUnits {
    const { exact, registers } = savedRecord(saved);
    const units = new DistinctUnits();
    if (registers === undefined) {
      units.#exact = UnitTable.restore(exact);
      if (units.#exact.count > exactUnits) throw new ForeignShape("too many units");
      return units;
    }
    const ranks = readBytes(registers);
    if (ranks.length !== registerCount || ranks.some((rank) => rank > maxRank)) throw new ForeignShape("not registers");
    units.#useRegisters(ranks);
    return units;
  }

  get isExact(): boolean {
    return this.#exact !== undefined;
  }

  get count(): number {
    return this.#exact?.count ?? Math.max(exactUnits, Math.round(estimate(this.#ranks)));
  }

  add(hi: number, lo: number): void {
    if (this.#exact === undefined) {
      this.#register(hi, lo);
      return;
    }
    if (this.#exact.count < exactUnits || this.#exact.marksOf(hi, lo) !== 0) {
      this.#exact.set(hi, lo, 1);
      return;
    }
    const known = this.#exact;
    this.#useRegisters(new Uint8Array(registerCount));
    for (const unit of known.entries()) this.#register(unit.hi, unit.lo);
    this.#register(hi, lo);
  }

  save(): unknown {
    if (this.#registers === undefined) return { exact: this.#exact?.save() };
    return { registers: savedBytes(this.#registers) };
  }

  #useRegisters(registers: Uint8Array): void {
    this.#exact = undefined;
    this.#registers = registers;
    this.#ranks.fill(0);
    for (const rank of registers) this.#ranks[rank] = (this.#ranks[rank] ?? 0) + 1;
  }

  #register(hi: number, lo: number): void {
    if (this.#registers === undefined) return;
    const index = mixUnit(hi, lo) >>> (32 - indexBits);
    const rank = Math.clz32(remixUnit(hi, lo)) + 1;
    const before = this.#registers[index] ?? 0;
    if (rank <= before) return;
    this.#registers[index] = rank;
    this.#ranks[before] = (this.#ranks[before] ?? 0) - 1;
    this.#ranks[rank] = (this.#ranks[rank] ?? 0) + 1;
  }
}

function estimate(ranks: Int32Array): number {
  const share = (rank: number) => (ranks[rank] ?? 0) / registerCount;
  let sum = registerCount * tau(1 - share(maxRank));
  for (let rank = maxRank - 1; rank >= 1; rank--) sum = 0.5 * (sum + (ranks[rank] ?? 0));
  sum += registerCount * sigma(share(0));
  return registerCount ** 2 / (2 * Math.LN2) / sum;
}

function sigma(share: number): number {
  if (share === 1) return Number.POSITIVE_INFINITY;
  let [x, y, sum, before] = [share, 1, share, -1];
  while (sum !== before) {
    x *= x;
    before = sum;
    sum += x * y;
    y += y;
  }
  return sum;
}

function tau(share: number): number {
  if (share === 0 || share === 1) return 0;
  let [x, y, sum, before] = [share, 1, 1 - share, -1];
  while (sum !== before) {
    x = Math.sqrt(x);
    before = sum;
    y *= 0.5;
    sum -= (1 - x) ** 2 * y;
  }
  return sum / 3;
}
