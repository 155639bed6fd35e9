import { request } from "node:http";

export interface Visit {
  readonly status: number;
  /** The serving version, by the upstream's `x-version` or `x-upstream`. */
  readonly version: string;
  readonly setCookie: readonly string[];
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
}

/** A client with a cookie jar of names and values, without paths and ages. Each visit is a new connection. */
export class Visitor {
  readonly jar = new Map<string, string>();

  /** The jar as a Cookie header. */
  get cookie(): string {
    return Array.from(this.jar, ([name, value]) => `${name}=${value}`).join("; ");
  }

  /** One GET. A `cookie` among the headers replaces the jar's. */
  get(url: string, headers: Readonly<Record<string, string>> = {}): Promise<Visit> {
    const { promise, resolve, reject } = Promise.withResolvers<Visit>();
    const cookies = this.jar.size === 0 ? {} : { cookie: this.cookie };
    const sent = request(url, { agent: false, headers: { ...cookies, ...headers } }, (response) => {
      const setCookie = response.headers["set-cookie"] ?? [];
      for (const line of setCookie) this.#keep(line);
      const { "x-version": version, "x-upstream": name } = response.headers;
      const { statusCode: status = 0, headers: received } = response;
      response.on("end", () => resolve({ status, version: String(version ?? name), setCookie, headers: received }));
      response.on("error", reject).resume();
    });
    sent.on("error", reject).end();
    return promise;
  }

  #keep(line: string): void {
    const [pair = ""] = line.split(";");
    const equals = pair.indexOf("=");
    this.jar.set(pair.slice(0, equals), pair.slice(equals + 1));
  }
}
