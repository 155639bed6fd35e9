import { type Dispatcher, Pool } from "undici";
import { type DemoRequest, DemoUser } from "./demo-user.ts";
import { demoVersions, greeting } from "./stage.ts";
import type { Answer, Tally } from "./tally.ts";

/** Connections to Perch, and the concurrency of a tour. */
const connections = 16;
/** Small, frequent batches: a large one would queue in the client and inflate the measured latency. */
const tickMs = 20;
const requestsPerTick = 2;

export interface CrowdOptions {
  readonly proxyOrigin: string;
  readonly tally: Pick<Tally, "add">;
  /** Part of every user id, so that each run draws different users. */
  readonly run: string;
  /** A monotonic clock. */
  readonly monotonicMs: () => number;
}

/** Simulated users who call Perch over real connections, with one cookie jar per device. */
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

  /** Makes `requestsEach` requests for each of `users` new users, as fast as responses arrive. */
  async tour(users: number, requestsEach: number): Promise<void> {
    const groups = Array.from({ length: connections }, (): DemoUser[] => []);
    for (let at = 0; at < users; at++) groups[at % connections]?.push(this.#newUser());
    await Promise.all(groups.map((group) => this.#tourGroup(group, requestsEach)));
  }

  /** Round by round, so that the requests of one user are as far apart as possible. */
  async #tourGroup(group: readonly DemoUser[], rounds: number): Promise<void> {
    for (let round = 0; round < rounds; round++) {
      for (const user of group) await this.#call(user);
    }
  }

  /**
   * Keeps `users` users present, who call at a modest rate until `close`. A user who leaves is replaced by a new one.
   */
  start(users: number): void {
    const present = Array.from({ length: users }, () => this.#newGuest());
    let calls = 0;
    this.#timer = setInterval(() => {
      for (let call = 0; call < requestsPerTick; call++) {
        const seat = calls++ % users;
        const guest = present[seat];
        if (guest === undefined || guest.isCalling) continue;
        if (guest.user.requests < guest.stay) this.#callAs(guest);
        else present[seat] = this.#newGuest();
      }
    }, tickMs);
  }

  /** Aborts the calls in flight without counting them. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#timer);
    await this.#pool.destroy();
  }

  #newUser(): DemoUser {
    return new DemoUser(this.#arrivals++, this.#options.run);
  }

  #newGuest(): Guest {
    // Stays differ in length: users who arrive together must not all leave together.
    const stay = 5 + ((this.#arrivals * 7) % 26);
    return { user: this.#newUser(), stay, isCalling: false };
  }

  async #callAs(guest: Guest): Promise<void> {
    guest.isCalling = true;
    await this.#call(guest.user);
    guest.isCalling = false;
  }

  /** Never rejects: a failure is counted as an answer without a version. */
  async #call(user: DemoUser): Promise<void> {
    const { tally, monotonicMs } = this.#options;
    const startedMs = monotonicMs();
    const answer = await this.#exchange(user.nextRequest());
    if (!this.#isClosed) tally.add(user, { ...answer, startedMs, tookMs: monotonicMs() - startedMs });
  }

  async #exchange({ path, headers, jar }: DemoRequest): Promise<Exchanged> {
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

type Exchanged = Pick<Answer, "version" | "isRight">;

/** A user of the endless crowd. */
interface Guest {
  readonly user: DemoUser;
  /** Requests until this user leaves. */
  readonly stay: number;
  /** A user waits for the response before the next call, which sends the cookies that it set. */
  isCalling: boolean;
}

function read({ statusCode, headers }: Dispatcher.ResponseData, text: string): Exchanged {
  const version = demoVersions.find((candidate) => greeting(candidate) === text)?.name;
  return { version, isRight: statusCode === 200 && headers["x-perch-version"] === version };
}
