import { Agent, request } from "node:http";
import { setTimeout as pause } from "node:timers/promises";

/** What the crowd met since the last look. */
export interface Seen {
  readonly requests: number;
  readonly failures: readonly string[];
  /** Of the users not named by a rule, the share whom 1.8.0 answered last. */
  readonly newShare: number;
  /** Users whom a version answered that is not the one before. */
  readonly changes: number;
  /** Of the users whom the rule names, the share whom 1.8.0 answered last. */
  readonly ruledShare: number;
}

interface Person {
  readonly headers: Readonly<Record<string, string>>;
  readonly ruled: boolean;
  cookie: string | undefined;
  version: string | undefined;
}

const connections = 8;
const pauseMs = 2;
/** A browser does not keep its connection for ever; each visit may meet another Pod. */
const visitsOnOneConnection = 4;

/** Users with cookie jars, an eighth of them in cn-east and new, who call one address again and again. */
export class Crowd {
  readonly #people: readonly Person[];
  readonly #origin: string;
  #requests = 0;
  #changes = 0;
  #failures: string[] = [];
  #over = false;
  #next = 0;
  readonly #walks: readonly Promise<void>[];

  constructor(origin: string, users: number) {
    this.#origin = origin;
    this.#people = Array.from({ length: users }, (_, index) => personOf(index));
    this.#walks = Array.from({ length: connections }, () => this.#walk());
  }

  /** Lets everybody come twice, and tells what they met since the last look. */
  async look(): Promise<Seen> {
    this.#changes = 0;
    const until = this.#requests + 2 * this.#people.length + connections;
    while (this.#requests < until) await pause(10);
    const seen: Seen = {
      requests: this.#requests,
      failures: this.#failures,
      changes: this.#changes,
      newShare: shareOf(this.#people.filter(({ ruled }) => !ruled)),
      ruledShare: shareOf(this.#people.filter(({ ruled }) => ruled)),
    };
    this.#requests = 0;
    this.#failures = [];
    return seen;
  }

  async leave(): Promise<void> {
    this.#over = true;
    await Promise.all(this.#walks);
  }

  async #walk(): Promise<void> {
    while (!this.#over) {
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      for (let visit = 0; visit < visitsOnOneConnection; visit++) {
        const person = this.#people[this.#next++ % this.#people.length];
        if (person !== undefined) await this.#visit(person, agent);
        await pause(pauseMs);
      }
      agent.destroy();
    }
  }

  async #visit(person: Person, agent: Agent): Promise<void> {
    try {
      const version = await get(this.#origin, person, agent);
      if (person.version !== undefined && person.version !== version) this.#changes++;
      person.version = version;
    } catch (error) {
      this.#failures.push(String(error));
    }
    this.#requests++;
  }
}

function personOf(index: number): Person {
  const about: readonly Record<string, string>[] = [
    { "x-user-region": "cn-east", "x-user-registered-at": "2026-03-01" },
    { "x-user-region": "cn-east", "x-user-registered-at": "2024-03-01" },
  ];
  const headers = about[index % 8] ?? { "x-user-region": "us" };
  return { headers, ruled: index % 8 === 0, cookie: undefined, version: undefined };
}

const shareOf = (people: readonly Person[]) =>
  people.filter(({ version }) => version === "1.8.0").length / people.length;

/** One GET; resolves to the version that answered, rejects where it was not a 200. */
function get(origin: string, person: Person, agent: Agent): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const headers = person.cookie === undefined ? person.headers : { ...person.headers, cookie: person.cookie };
  const sent = request(origin, { agent, headers }, (response) => {
    const [pin] = response.headers["set-cookie"] ?? [];
    if (pin !== undefined) person.cookie = pin.split(";")[0];
    const { statusCode, headers: received } = response;
    response.on("error", reject).on("end", () => {
      if (statusCode === 200) resolve(String(received["x-version"]));
      else reject(new Error(`${statusCode} ${String(received["x-perch-error"])}`));
    });
    response.resume();
  });
  sent.on("error", reject).end();
  return promise;
}
