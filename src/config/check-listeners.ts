import { addressText } from "./address-text.ts";
import type { Reading } from "./kit/schema.ts";
import { quote } from "./kit/tree.ts";
import type { Config } from "./schema.ts";

type Address = Config["listeners"][number]["address"];

interface Claim {
  readonly who: string;
  readonly text: string;
}

/** Each name and each address once; port 0 is a different one each time. */
export function checkListeners(config: Config, reading: Reading): void {
  const names = new Set<string>();
  const claims = new Map<string, Claim>();
  for (const listener of config.listeners) {
    if (names.has(listener.name)) {
      const message = `another listener is called ${quote(listener.name)} already`;
      reading.error(reading.spanOf(listener, "name"), "duplicate-name", message);
    }
    names.add(listener.name);
    claimAddress(listener.address, `listener ${quote(listener.name)}`, listener, claims, reading);
  }
  claimAddress(config.admin.address, "admin", config.admin, claims, reading);
}

function claimAddress(
  address: Address,
  who: string,
  owner: object,
  claims: Map<string, Claim>,
  reading: Reading,
): void {
  if ("port" in address && address.port === 0) return;
  const text = addressText(address);
  // A socket on [::] takes IPv4 as well.
  const key = text.replace(/^0\.0\.0\.0:/, "[::]:");
  const other = claims.get(key);
  if (other !== undefined) {
    const suggestion = other.text === text ? undefined : "[::] takes IPv4 as well: one of the two is enough";
    const message = `${other.who} has the address ${other.text} already`;
    reading.error(reading.spanOf(owner, "address"), "duplicate-name", message, suggestion);
  }
  claims.set(key, { who, text });
}
