/** What a kind of user sends, and what is expected of Perch. */
interface Persona {
  /** Sent with every request, as a session would. */
  readonly identity: Readonly<Record<string, string>>;
  /** Sent with API calls only; a page load has nothing but its cookies. */
  readonly facts: Readonly<Record<string, string>>;
  /** Whether the rule takes these users. */
  readonly isRuled: boolean;
  /** Each device has a cookie jar of its own. */
  readonly devices: number;
}

const anonymous: Persona = { identity: {}, facts: {}, isRuled: false, devices: 1 };

/** Users by the last digit of their index: a tenth each, and whoever is not here is anonymous. */
const personas: Readonly<Record<number, Persona>> = {
  0: from("cn-east", "2026-03-01", true),
  // Two near misses: each satisfies one half of the rule.
  1: from("cn-east", "2024-05-17", false),
  2: from("us-west", "2026-02-11", false),
};

/** Two tenths of the users sign in, on two devices: only their id says that they are one person. */
const signedInDigits = new Set([3, 4]);

function from(region: string, registeredAt: string, isRuled: boolean): Persona {
  return { ...anonymous, facts: { "x-user-region": region, "x-user-registered-at": registeredAt }, isRuled };
}

function personaOf(index: number, run: string): Persona {
  const digit = index % 10;
  if (!signedInDigits.has(digit)) return personas[digit] ?? anonymous;
  return { ...anonymous, identity: { "x-user-id": `${run}-${index}` }, devices: 2 };
}

export interface DemoRequest {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** The device that sends it, and keeps the cookies of its answer. */
  readonly jar: CookieJar;
}

/** One user of the crowd. `index` chooses the kind; ids differ from `run` to `run`, so that each draws users anew. */
export class DemoUser {
  readonly isRuled: boolean;
  readonly #persona: Persona;
  readonly #jars: readonly CookieJar[];
  #requests = 0;

  constructor(index: number, run: string) {
    this.#persona = personaOf(index, run);
    this.isRuled = this.#persona.isRuled;
    this.#jars = Array.from({ length: this.#persona.devices }, () => new CookieJar());
  }

  get requests(): number {
    return this.#requests;
  }

  /** API calls and page loads by turns, an API call first; the next device each time. */
  nextRequest(): DemoRequest {
    const at = this.#requests++;
    const { identity, facts } = this.#persona;
    const jar = this.#jars[at % this.#jars.length] ?? new CookieJar();
    const isApiCall = at % 2 === 0;
    const cookie = jar.header;
    return {
      path: isApiCall ? "/api/cart" : "/",
      headers: { ...identity, ...(isApiCall ? facts : {}), ...(cookie === "" ? {} : { cookie }) },
      jar,
    };
  }
}

/** As much of a browser's jar as one site with session-long visits needs: the last value of each name. */
export class CookieJar {
  readonly #cookies = new Map<string, string>();

  /** Takes the `Set-Cookie` lines of an answer. */
  keep(lines: readonly string[]): void {
    for (const line of lines) {
      const [, name, value] = /^([^=;]+)=([^;]*)/.exec(line) ?? [];
      if (name !== undefined && value !== undefined) this.#cookies.set(name.trim(), value.trim());
    }
  }

  /** The value of the Cookie header; empty where there is nothing to send. */
  get header(): string {
    return Array.from(this.#cookies, ([name, value]) => `${name}=${value}`).join("; ");
  }
}
