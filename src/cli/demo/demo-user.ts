export interface DemoRequest {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** The cookie jar of the device that sends the request. */
  readonly jar: CookieJar;
}

/** One simulated user. `index` selects the kind. `run` makes the ids of each run different. */
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

  /** Alternates between API calls and page loads, starting with an API call, and between devices. */
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

/** A minimal cookie jar for one site: keeps the last value of each name and ignores attributes. */
export class CookieJar {
  readonly #cookies = new Map<string, string>();

  /** Stores the `Set-Cookie` lines of a response. */
  keep(lines: readonly string[]): void {
    for (const line of lines) {
      const [, name, value] = /^([^=;]+)=([^;]*)/.exec(line) ?? [];
      if (name !== undefined && value !== undefined) this.#cookies.set(name.trim(), value.trim());
    }
  }

  /** The value of the Cookie header; empty if there are no cookies. */
  get header(): string {
    return Array.from(this.#cookies, ([name, value]) => `${name}=${value}`).join("; ");
  }
}

/** A kind of user: what it sends, and whether the rule matches it. */
interface Persona {
  /** Sent with every request, like a session. */
  readonly identity: Readonly<Record<string, string>>;
  /** Sent with API calls only. A page load sends just its cookies. */
  readonly facts: Readonly<Record<string, string>>;
  readonly isRuled: boolean;
  /** Each has its own cookie jar. */
  readonly devices: number;
}

function personaOf(index: number, run: string): Persona {
  const digit = index % 10;
  if (!signedInDigits.has(digit)) return personas[digit] ?? anonymous;
  return { ...anonymous, identity: { "x-user-id": `${run}-${index}` }, devices: 2 };
}

/** 20 % of the users sign in, on two devices: only the user id links the two. */
const signedInDigits = new Set([3, 4]);

const anonymous: Persona = { identity: {}, facts: {}, isRuled: false, devices: 1 };

/** By the last digit of the user's index, so 10 % each. Other users are anonymous. */
const personas: Readonly<Record<number, Persona>> = {
  0: from("cn-east", "2026-03-01", true),
  // Near misses: each satisfies one of the rule's two tests.
  1: from("cn-east", "2024-05-17", false),
  2: from("us-west", "2026-02-11", false),
};

function from(region: string, registeredAt: string, isRuled: boolean): Persona {
  return { ...anonymous, facts: { "x-user-region": region, "x-user-registered-at": registeredAt }, isRuled };
}
