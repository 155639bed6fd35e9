import { type Agent, request } from "node:http";

export interface Answer {
  readonly status: number;
  readonly version: string;
}

/** A user with a cookie jar, who always sends the same headers. */
export class User {
  readonly headers: Readonly<Record<string, string>>;
  #cookie: string | undefined;

  constructor(headers: Readonly<Record<string, string>> = {}) {
    this.headers = headers;
  }

  /** The version is that of the upstream's `x-version`, not the one that Perch reports. */
  get(origin: string, agent: Agent): Promise<Answer> {
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const headers = this.#cookie === undefined ? this.headers : { ...this.headers, cookie: this.#cookie };
    const sent = request(origin, { agent, headers }, (response) => {
      const [pin] = response.headers["set-cookie"] ?? [];
      if (pin !== undefined) this.#cookie = pin.split(";")[0];
      response.resume();
      response.on("end", () => {
        resolve({ status: response.statusCode ?? 0, version: String(response.headers["x-version"]) });
      });
      response.on("error", reject);
    });
    sent.on("error", reject);
    sent.end();
    return promise;
  }
}

/** Runs `work` for every item, with bounded concurrency. */
export async function eachAtOnce<T>(
  items: readonly T[],
  atOnce: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < items.length) {
      const item = items[next++];
      if (item !== undefined) await work(item);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}
