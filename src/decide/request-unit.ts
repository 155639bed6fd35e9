import type { DecisionRequest, Trail } from "./decision.ts";
import type { AttributeValue, Facts } from "./facts.ts";
import type { Pages } from "./pages.ts";
import type { StickySpec } from "./release-spec.ts";
import { attributeUnit, randomUnit, type Unit } from "./unit.ts";

/** From the `by` fact if the request has it, else from the pin, else new. */
export function unitOfRequest(
  { facts, pin, random, nowMs }: DecisionRequest,
  by: StickySpec["by"],
  pages: Pages | undefined,
  trail: Trail | undefined,
): Unit {
  const named = by && unitFact(by, facts);
  if (named !== undefined) {
    const name = by?.kind === "attribute" ? by.name : "clientAddress";
    trail?.push({ stage: "unit", outcome: "used", detail: `from ${name}` });
    return attributeUnit(named);
  }
  if (pin !== undefined) {
    trail?.push({ stage: "unit", outcome: "used", detail: `from the pin (${pin.unit.source})` });
    return pin.unit;
  }
  const destination = pages?.destinationOf(facts);
  const shared = destination && pages?.units.unit(destination, facts, nowMs);
  const detail = shared === undefined ? "new and random" : "new, shared by this browser's first requests";
  trail?.push({ stage: "unit", outcome: "used", detail });
  return shared ?? randomUnit(random);
}

function unitFact(by: NonNullable<StickySpec["by"]>, facts: Facts): AttributeValue | undefined {
  return by.kind === "attribute" ? facts.attribute(by.index) : facts.clientAddress;
}
