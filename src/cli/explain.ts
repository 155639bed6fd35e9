import { batchedRandom } from "../app/random.ts";
import { StatsRegistry } from "../observe/stats-registry.ts";
import { ActiveSnapshot } from "../proxy/active-snapshot.ts";
import type { DryRequest } from "../proxy/explain/dry-run.ts";
import { type Explanation, explainRequest } from "../proxy/explain/explain.ts";
import { EndpointRegistry, noopEndpointEvents } from "../upstream/endpoint-registry.ts";
import {
  type Command,
  formatTable,
  type OptionValues,
  type Terminal,
  textOption,
  textOptions,
  UsageError,
} from "./command.ts";
import { configOption, configPath, type LoadedConfig, loadOrTell, printJson } from "./load-config.ts";

export const explain: Command = {
  usage: `-c FILE [-H 'name: value']… [--cookie 'a=b; c=d']… [--method M] [--client ADDRESS] [--listener NAME]
                    [--json] URL

  -c, --config FILE     the configuration, also kubernetes://…; default: PERCH_CONFIG
  -H, --header LINE     a request header; may be repeated
      --cookie COOKIES  the request's cookies; may be repeated
      --method METHOD   default GET
      --client ADDRESS  the IP address that the request comes from. If it is in trustedProxies,
                        X-Forwarded-* and sources with trust: proxies are used. Default: none
      --listener NAME   the listener at which the request arrives. Default: the first of the URL's scheme
      --json            print one JSON object
  URL                   http(s)://host/path, or a path; a Host header overrides the URL's host, as with curl

No request is sent, and no metric changes.`,
  options: {
    ...configOption,
    header: { type: "string", short: "H", multiple: true },
    cookie: { type: "string", multiple: true },
    method: { type: "string" },
    client: { type: "string" },
    listener: { type: "string" },
    json: { type: "boolean" },
  },
  async run({ options, positionals }, terminal) {
    const request = readRequest(options, positionals);
    const loaded = await loadOrTell(configPath(options, terminal), terminal);
    if (loaded === undefined) return 2;
    // As in the library, such a snapshot sends nothing: no health checks, no DNS queries.
    const snapshot = new ActiveSnapshot(
      new StatsRegistry(),
      new EndpointRegistry(noopEndpointEvents),
      loaded.compiled,
      loaded.hash,
    );
    const context = { nowMs: Date.now(), random: batchedRandom() };
    const explanation = explainRequest(snapshot.current, request, context);
    // The malformed request was given on the command line, so this is wrong usage.
    if (explanation.error?.code === "bad-request") throw new UsageError(explanation.trail[0]?.detail);
    if (options["json"] === true) printJson(explanation, terminal);
    else terminal.out(describe(explanation));
    warnOfRandomSecret(explanation, loaded, terminal);
    return 0;
  },
};

function readRequest(options: OptionValues, positionals: readonly string[]): DryRequest {
  const [url, surplus] = positionals;
  if (url === undefined) throw new UsageError("no URL to explain");
  if (surplus !== undefined) throw new UsageError(`only one URL can be explained; unexpected argument "${surplus}"`);
  const headers = textOptions(options, "header").map(readHeader);
  for (const cookies of textOptions(options, "cookie")) headers.push(["cookie", bytes(cookies)]);
  const named = headers.some(([name]) => name.toLowerCase() === "host");
  return {
    ...(named ? withoutHost(percentEncoded(url)) : { url: percentEncoded(url) }),
    headers,
    method: textOption(options, "method"),
    client: textOption(options, "client"),
    listener: textOption(options, "listener"),
  };
}

function readHeader(line: string): [string, string] {
  const colon = line.indexOf(":");
  if (colon < 1) throw new UsageError(`-H "${line}" is not a header such as "x-user-region: cn-east"`);
  return [line.slice(0, colon), bytes(line.slice(colon + 1))];
}

/** Removes the host, so that the Host header decides. */
function withoutHost(url: string): Pick<DryRequest, "url" | "scheme"> {
  const [, scheme, rest = ""] = /^(https?):\/\/[^/?#]+(.*)$/i.exec(url) ?? [];
  if (scheme === undefined) return { url };
  return { url: rest.startsWith("/") ? rest : `/${rest}`, scheme: scheme.toLowerCase() === "https" ? "https" : "http" };
}

/** UTF-8 bytes as one character each, which is how HTTP parsers deliver header values. */
function bytes(text: string): string {
  return Buffer.from(text, "utf8").toString("latin1");
}

/** Percent-encodes non-ASCII characters, as browsers do. */
function percentEncoded(url: string): string {
  return url.toWellFormed().replace(/[\u0080-\u{10ffff}]+/gu, encodeURIComponent);
}

/** Without a secretFile, pins are signed with a secret that only the running process knows. */
function warnOfRandomSecret({ release, pin }: Explanation, { compiled }: LoadedConfig, terminal: Terminal): void {
  if (pin?.received !== "forged" || release === null || !compiled.unsignedReleases.includes(release)) return;
  terminal.err(`Release ${release} has no secretFile, so pins of a running Perch cannot be verified here.\n`);
}

function describe(explanation: Explanation): string {
  const trail = formatTable(explanation.trail.map(({ stage, outcome, detail }) => [stage, outcome, detail]));
  return `${[...formatTable(summary(explanation)), "", ...trail].join("\n")}\n`;
}

function summary({ error, redirect, route, service, release, version, served, ...rest }: Explanation): string[][] {
  if (error !== null) return [["response", `${error.status} ${error.code}`]];
  if (redirect !== null) return [["route", `${route}`], ...redirectSummary(redirect)];
  const by = rest.rule === null ? `${rest.reason}` : `${rest.reason} ${rest.rule}`;
  return [
    ["route", `${route}`],
    ["service", `${service}`],
    ["release", release ?? "none"],
    ["version", version === served ? `${version}` : `${version} assigned, ${served} served`],
    ["reason", by],
    ...Object.entries(rest.attributes).map(([name, found], at) => [
      at === 0 ? "attributes" : "",
      found === null ? `${name} unknown` : `${name} ${JSON.stringify(found.value)} from ${found.source}`,
    ]),
    ["unit", rest.unit === null ? "none" : describeUnit(rest.unit)],
    ["pin", rest.pin === null ? "none" : describePin(rest.pin)],
  ];
}

function redirectSummary({ status, location, setCookie }: Exclude<Explanation["redirect"], null>): string[][] {
  const response = ["response", `${status} to ${location}`];
  return setCookie === null ? [response] : [response, ["sets", setCookie]];
}

function describeUnit({ source, name, value, id }: Exclude<Explanation["unit"], null>): string {
  return name === null ? `${source}, ${id}` : `${name} ${JSON.stringify(value)}, ${id}`;
}

function describePin({ cookie, received, version, wouldSet }: Exclude<Explanation["pin"], null>): string {
  const has = version === null ? received : `${received}, ${version}`;
  return `cookie ${cookie}: received ${has}; ${wouldSet === null ? "nothing to set" : `sets ${wouldSet}`}`;
}
