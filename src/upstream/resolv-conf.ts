/** What a resolv.conf says: whom to ask, and what names that are not whole may mean. */
export interface ResolvConf {
  readonly servers: readonly string[];
  /** The list of `search`. */
  readonly domains: readonly string[];
  /** `options ndots`: a name with so many is first asked for as it stands. */
  readonly dots: number;
}

export function parseResolvConf(text: string): ResolvConf {
  const servers: string[] = [];
  let domains: readonly string[] = [];
  let dots = 1;
  for (const line of text.split("\n")) {
    const [word, ...rest] = line.trim().split(/\s+/);
    if (word === "nameserver" && rest[0] !== undefined) servers.push(rest[0]);
    // Of several such lines the last counts (resolv.conf(5)).
    if (word === "search" || word === "domain") domains = rest.map((domain) => domain.replace(/\.$/, ""));
    if (word !== "options") continue;
    for (const option of rest) if (/^ndots:\d{1,2}$/.test(option)) dots = Number(option.slice("ndots:".length));
  }
  return { servers, domains: domains.filter((domain) => domain !== ""), dots };
}

/**
 * The names that a name may mean, in the order in which they are to be asked for, as the system's own resolver would:
 * Kubernetes relies on it, where `shop` means `shop.<namespace>.svc.cluster.local`.
 */
export function searchOrder(name: string, { domains, dots }: ResolvConf): readonly string[] {
  if (name.endsWith(".")) return [name.slice(0, -1)];
  const extended = domains.map((domain) => `${name}.${domain}`);
  return name.split(".").length - 1 >= dots ? [name, ...extended] : [...extended, name];
}
