import { type Dispatcher, Pool } from "undici";
import { type DemoRequest, DemoUser } from "./demo-user.ts";
import { demoVersions, greeting } from "./stage.ts";
import type { Answer, Tally } from "./tally.ts";

/** Connections to Perch, and requests under way at once in a tour. */
const connections = 16;
/** A few requests often, rather than many at once, so that the latency seen is not that of a queue of ours. */
const tickMs = 20;
const requestsPerTick = 2;

export interface CrowdOptions {
  readonly proxyOrigin: string;
  readonly tally: Tally;
  /** In every user's id, so that each run draws its users anew. */
  readonly run: string;
  /** A clock that never goes back. */
  readonly monotonicMs: () => number;
}

/** Users who call Perch over real connections, each with a cookie jar for each of their devices. */
export class Crowd {
  readonly #options: CrowdOptions;
  readonly #pool: Pool;
  #arrivals = 0;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(options: CrowdOptions) {
    this.#options = options;
    this.#pool = new Pool(options.proxyOrigin, { connections, pipelining: 1 });
  }

  /** So many users make so many requests each, as fast as they are answered: the bounded crowd. */
  async tour(users: number, requestsEach: number): Promise<void> {
    const groups = Array.from({ length: connections }, (): DemoUser[] => []);
    for (let at = 0; at < users; at++) groups[at % connections]?.push(this.#newUser());
    await Promise.all(groups.map((group) => this.#tourGroup(group, requestsEach)));
  }

  /** Round by round, so that a user's requests lie as far apart as they can. */
  async #tourGroup(group: readonly DemoUser[], rounds: number): Promise<void> {
    for (let round = 0; round < rounds; round++) {
      for (const user of group) await this.#call(user);
    }
  }

  /** So many users at a time call at a modest rate until the crowd is closed; whoever leaves makes room for another. */
  start(users: number): void {
    const present = Array.from({ length: users }, () => this.#newGuest());
    let turn = 0;
    this.#timer = setInterval(() => {
      for (let call = 0; call < requestsPerTick; call++) {
        const seat = turn++ % users;
        const guest = present[seat];
        if (guest === undefined || guest.isCalling) continue;
        if (guest.user.requests < guest.stay) this.#callAs(guest);
        else present[seat] = this.#newGuest();
      }
    }, tickMs);
  }

  /** Ends the calls under way, uncounted. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#timer);
    await this.#pool.destroy();
  }

  #newUser(): DemoUser {
    return new DemoUser(this.#arrivals++, this.#options.run);
  }

  #newGuest(): Guest {
    // Stays of different lengths: else all who came together would leave together.
    const stay = 5 + ((this.#arrivals * 7) % 26);
    return { user: this.#newUser(), stay, isCalling: false };
  }

  async #callAs(guest: Guest): Promise<void> {
    guest.isCalling = true;
    await this.#call(guest.user);
    guest.isCalling = false;
  }

  /** Never rejects: what goes wrong is an answer too, and is counted. */
  async #call(user: DemoUser): Promise<void> {
    const { tally, monotonicMs } = this.#options;
    const startedMs = monotonicMs();
    const seen = await this.#exchange(user.nextRequest());
    if (!this.#isClosed) tally.add(user, { ...seen, tookMs: monotonicMs() - startedMs });
  }

  async #exchange({ path, headers, jar }: DemoRequest): Promise<Omit<Answer, "tookMs">> {
    try {
      const response = await this.#pool.request({ method: "GET", path, headers });
      const text = await response.body.text();
      jar.keep([response.headers["set-cookie"] ?? []].flat());
      return read(response, text);
    } catch {
      return { version: undefined, isRight: false };
    }
  }
}

/** A user of the endless crowd. */
interface Guest {
  readonly user: DemoUser;
  /** Requests until this user leaves. */
  readonly stay: number;
  /** A user waits for one answer before the next call: its cookies go with it. */
  isCalling: boolean;
}

function read({ statusCode, headers }: Dispatcher.ResponseData, text: string): Omit<Answer, "tookMs"> {
  const version = demoVersions.find((candidate) => greeting(candidate) === text)?.name;
  return { version, isRight: statusCode === 200 && headers["x-perch-version"] === version };
}
