import { type Address, type AddressRange, parseAddress, parseAddressRange } from "../../src/decide/ip-address.ts";
import { parseAuthority } from "../../src/http/authority.ts";
import { type Caller, type RequestHead, repeated } from "../../src/http/request-head.ts";

/** Header lines by lower-case name; several values are several lines. */
export type Headers = Readonly<Record<string, string | readonly string[]>>;

export function address(text: string): Address {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new TypeError(`"${text}" is not an address.`);
  return parsed;
}

export function ranges(...texts: readonly string[]): readonly AddressRange[] {
  return texts.flatMap((text) => parseAddressRange(text) ?? []);
}

/** By default a trusted proxy at 10.0.0.9. */
export function callerOf(changes: Partial<Caller> = {}): Caller {
  return { address: address("10.0.0.9"), trusted: true, scheme: "http", localPort: 8080, listener: "web", ...changes };
}

/** A head with exactly these headers, including ones that every lane would reject. */
export function headOf(headers: Headers, target = "/"): RequestHead {
  const all = new Map(Object.entries({ host: "shop.example.com", ...headers }));
  const linesOf = (name: string): readonly string[] => [all.get(name) ?? []].flat();
  const [path = "", ...query] = target.split("?");
  const authority = linesOf("host")[0] ?? "";
  return {
    method: "GET",
    target,
    path,
    query: query.join("?"),
    authority,
    host: parseAuthority(authority)?.host ?? "",
    header: (name) => (linesOf(name).length > 1 ? repeated : linesOf(name)[0]),
    headerLines: linesOf,
    cookies: all.has("cookie") ? linesOf("cookie").join("; ") : undefined,
  };
}
