/** The business code that has two versions. */
interface Price {
  readonly cents: number;
  readonly version: string;
}

/** Old and new way of counting a price; which one is not this code's to decide. */
const prices: Readonly<Record<string, (items: number) => Price>> = {
  stable: (items) => ({ cents: items * 250, version: "stable" }),
  canary: (items) => ({ cents: items * 250 - Math.floor(items / 3) * 100, version: "canary" }),
};

export function priceFor(version: string | null, items: number): Price {
  const count = prices[version ?? "stable"] ?? prices["stable"];
  if (count === undefined) throw new TypeError("no way to count a price");
  return count(items);
}
