import { setTimeout as delay } from "node:timers/promises";
import { RawConnection } from "./side-by-side/raw-connection.ts";
import { requestHeaders, requestPath } from "./users.ts";

/** Requests on all connections without pause, from the list that is set. */
export class PinnedLoad {
  answers = 0;
  wrong = 0;
  #requests: readonly string[] = [];
  #next = 0;
  #stopped = true;
  readonly #all: readonly RawConnection[];
  readonly #idle = new Set<RawConnection>();
  readonly #ready: Promise<unknown>;

  constructor(port: number, connections: number) {
    const listener = {
      answered: (connection: RawConnection, { status, setsCookie }: { status: number; setsCookie: boolean }) => {
        this.answers += 1;
        if (status !== 200 || setsCookie) this.wrong += 1;
        this.#idle.add(connection);
        this.#sendAll();
      },
      ended: () => {
        throw new Error("the data plane closed a connection");
      },
    };
    this.#all = Array.from({ length: connections }, () => new RawConnection({ port, tls: false }, listener));
    for (const connection of this.#all) this.#idle.add(connection);
    this.#ready = Promise.all(this.#all.map(({ opened }) => opened));
  }

  async run(requests: readonly string[], ms: number): Promise<void> {
    await this.#ready;
    this.#requests = requests;
    this.#stopped = false;
    this.#sendAll();
    await delay(ms);
    this.#stopped = true;
    while (this.#idle.size < this.#all.length) await delay(1);
  }

  close(): void {
    for (const connection of this.#all) connection.close();
  }

  #sendAll(): void {
    if (this.#stopped) return;
    for (const connection of this.#idle) {
      const request = this.#requests[this.#next++ % this.#requests.length];
      if (request === undefined) return;
      this.#idle.delete(connection);
      connection.send(request, undefined);
    }
  }
}

/** Each user's request with the pin that the first visit gets. */
export async function pinnedRequests(port: number, users: number): Promise<readonly string[]> {
  const requests: string[] = [];
  for (let user = 0; user < users; user++) {
    const headers = requestHeaders(user, undefined);
    const response = await fetch(`http://127.0.0.1:${port}${requestPath(user)}`, { headers });
    await response.arrayBuffer();
    requests.push(headOf(user, response.headers.getSetCookie()[0]?.replace(/;.*/, "")));
  }
  return requests;
}

function headOf(user: number, pin: string | undefined): string {
  const fields = Object.entries(requestHeaders(user, pin)).map(([name, value]) => `${name}: ${value}\r\n`);
  return `GET ${requestPath(user)} HTTP/1.1\r\nhost: shop.example\r\n${fields.join("")}\r\n`;
}
