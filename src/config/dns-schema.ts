import { parseAddress } from "../decide/address.ts";
import { list } from "./kit/collections.ts";
import { defaulted, object } from "./kit/object.ts";
import { duration } from "./kit/quantities.ts";
import { scalar, Wrong } from "./kit/scalars.ts";
import type { Schema } from "./kit/schema.ts";
import { quote } from "./kit/tree.ts";

/** `10.0.0.10`, `10.0.0.10:5353`, `fd00::10` or `[fd00::10]:5353`, as node:dns takes them. */
const nameServer: Schema<string> = scalar({
  what: "a name server's address such as 10.0.0.10 or 10.0.0.10:53",
  parse: parseNameServer,
  json: { type: "string", pattern: "^[0-9A-Fa-f:.]+$|^\\[[0-9A-Fa-f:.]+\\](?::[0-9]{1,5})?$" },
});

function parseNameServer(written: string): string | Wrong {
  const bare = parseAddress(written);
  if (bare !== undefined) return bare.text;
  const [, inBrackets, outside = "", portText] = /^(?:\[([^\]]*)\]|([0-9.]+)):(\d{1,5})$/.exec(written) ?? [];
  const address = parseAddress(inBrackets ?? outside);
  const port = Number(portText);
  if (address === undefined) {
    return new Wrong(`${quote(written)} is not a name server's address`, "write it as in 10.0.0.10 or 10.0.0.10:53");
  }
  if (port === 0 || port > 65_535) return new Wrong(`${port} is not a port that can be asked`);
  return inBrackets === undefined ? `${address.text}:${port}` : `[${address.text}]:${port}`;
}

const timeToLive = duration({ minMs: 100, maxMs: 86_400_000 });

/** How the names of endpoints are resolved. */
export const dnsSchema = object(
  {
    servers: defaulted(
      "Name servers; names are then asked for as they stand. Default: the system's, with its search list.",
      list(nameServer, { of: "name servers" }),
      [],
    ),
    minTtl: defaulted("An answer counts for so long at least, whatever its time to live says.", timeToLive, "5s"),
    maxTtl: defaulted("An answer counts for so long at most.", timeToLive, "5m"),
  },
  { what: "dns" },
);
