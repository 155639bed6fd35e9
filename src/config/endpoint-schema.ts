import { addressOf, type EndpointAddress, unixAddress } from "../upstream/endpoint-address.ts";
import { scalar, Wrong } from "./kit/scalars.ts";
import type { Schema } from "./kit/schema.ts";
import { quote } from "./kit/tree.ts";

const defaultPorts: Readonly<Record<string, number>> = { "http:": 80, "https:": 443 };

/** What sun_path has room for on Linux, less the NUL that ends it. */
const longestSocketPath = 107;

/** An address: `http://host:port`, `https://host:port`, or `unix:/path`. */
const endpointAddress: Schema<EndpointAddress> = scalar({
  what: "an endpoint such as http://shop:80",
  parse: parseAddress,
  json: { type: "string", pattern: "^[Hh][Tt][Tt][Pp][Ss]?://[^/?#@\\s]+/?$|^unix:/" },
});

function parseAddress(written: string): EndpointAddress | Wrong {
  const unix = /^unix:(?:\/\/(?=\/))?(.*)$/s.exec(written);
  if (unix !== null) return parseSocketPath(unix[1] ?? "");
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):\/\//.exec(written)?.[1]?.toLowerCase();
  if (scheme === undefined) {
    const meant = written.startsWith("/") ? `unix:${written}` : `http://${written}`;
    return new Wrong(`${quote(written)} has no scheme`, `write ${quote(meant)}`);
  }
  if (scheme !== "http" && scheme !== "https") {
    return new Wrong(
      `${quote(written)} is neither http nor https`,
      "an endpoint is http://host:port, https://host:port or unix:/path",
    );
  }
  const origin = parseOrigin(written);
  return origin instanceof Wrong ? origin : addressOf(origin);
}

function parseSocketPath(path: string): EndpointAddress | Wrong {
  if (!path.startsWith("/")) {
    return new Wrong(`${quote(path)} is not an absolute path`, "write it as in unix:/run/shop.sock");
  }
  if (/\p{Cc}/u.test(path)) return new Wrong(`${quote(path)} holds a control character`);
  if (Buffer.byteLength(path) > longestSocketPath) {
    return new Wrong(`${quote(path)} is longer than a socket's path may be, ${longestSocketPath} bytes`);
  }
  return unixAddress(path);
}

function parseOrigin(written: string): string | Wrong {
  // URL drops tabs and line breaks and turns backslashes; nothing of that kind may pass for a host.
  const url = /^[!-~]+$/.test(written) && !written.includes("\\") ? URL.parse(written) : null;
  if (url === null) return new Wrong(`${quote(written)} is not a URL such as http://shop:80`);
  if (url.username !== "" || url.password !== "" || written.includes("@")) {
    return new Wrong(`${quote(written.replace(/\/\/.*@/, "//…@"))} holds credentials; an endpoint can not`);
  }
  if (url.pathname !== "/" || /[?#]/.test(written)) {
    return new Wrong(`${quote(written)} holds more than a host and a port`, `write ${quote(url.origin)}`);
  }
  if (url.port === "0") return new Wrong(`${quote(written)}: 0 is not a port that can be connected to`);
  return `${url.protocol}//${url.hostname}:${url.port === "" ? defaultPorts[url.protocol] : url.port}`;
}

/** One of a version's endpoints. Those found by DNS are a map; they come in a later version. */
export const endpoint: Schema<EndpointAddress> = {
  read(node, reading) {
    if (node.kind !== "map") return endpointAddress.read(node, reading);
    return reading.error(node.span, "not-supported", "endpoints by DNS are not supported by this version of Perch");
  },
  json: (definitions) => endpointAddress.json(definitions),
};
