import { Agent } from "undici";
import { certPem } from "../kit/pki.ts";
import { patternOf } from "./pattern.ts";
import type { PerchProcess } from "./perch-process.ts";
import type { Tally } from "./tally.ts";

/** The pause between a user's requests: the load is steady, not the maximum. */
const pauseMs = 40;
const requestTimeoutMs = 15_000;

const shapes = [
  { method: "GET", bytes: 700, framing: "length", upload: 0 },
  { method: "GET", bytes: 3_000, framing: "chunked", upload: 0 },
  { method: "POST", bytes: 50, framing: "length", upload: 900 },
  { method: "GET", bytes: 120_000, framing: "length", upload: 0 },
  { method: "PUT", bytes: 10, framing: "chunked", upload: 40_000 },
] as const;

type Shape = (typeof shapes)[number];

export interface CrowdOptions {
  readonly users: number;
  /** The instance of Perch that a load balancer would choose now. */
  readonly perch: () => Pick<PerchProcess, "origin" | "secureOrigin"> | undefined;
}

/**
 * Users who send sequential requests with their pins. Every response is checked: complete, this request's own, and from
 * the user's version.
 */
export class Crowd {
  readonly #options: CrowdOptions;
  readonly #agent = new Agent({
    connections: 64,
    pipelining: 1,
    keepAliveTimeout: 20_000,
    connectTimeout: 5_000,
    connect: { ca: certPem("authority"), servername: "shop.example" },
  });
  readonly #users: Promise<void>[] = [];
  #tally: Tally;
  /** Whether users may get the default instead of their version. */
  fallback: "forbidden" | "allowed" = "forbidden";
  /** Over TLS every request has a new connection, and thus a handshake. */
  transport: "tcp" | "tls" = "tcp";
  #running = true;

  constructor(options: CrowdOptions, tally: Tally) {
    this.#options = options;
    this.#tally = tally;
    for (let user = 0; user < options.users; user++) this.#users.push(this.#live(user));
  }

  /** Counts further requests in this tally. */
  countIn(tally: Tally): void {
    this.#tally = tally;
  }

  /** Stops the users; resolves once the last request has ended. */
  async leave(): Promise<void> {
    this.#running = false;
    await Promise.all(this.#users);
    await this.#agent.close();
  }

  async #live(user: number): Promise<void> {
    const visitor: Visitor = { pin: undefined, version: undefined };
    for (let round = 0; this.#running; round++) {
      const shape = shapes[(user + round) % shapes.length] ?? shapes[0];
      const tally = this.#tally;
      tally.requests++;
      await this.#ask(`u${user}-r${round}`, shape, visitor, tally);
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }

  get #origin(): string {
    const perch = this.#options.perch();
    return (this.transport === "tls" ? perch?.secureOrigin : perch?.origin) ?? "";
  }

  async #ask(id: string, shape: Shape, visitor: Visitor, tally: Tally): Promise<void> {
    const mayFallBack = this.fallback === "allowed";
    let answered: "nothing" | "a head" = "nothing";
    try {
      const response = await this.#agent.request({
        origin: this.#origin,
        reset: this.transport === "tls",
        path: `/shop?bytes=${shape.bytes}&framing=${shape.framing}`,
        method: shape.method,
        headers: {
          "x-chaos-id": id,
          "x-chaos-length": String(shape.upload),
          ...(visitor.pin === undefined ? {} : { cookie: visitor.pin }),
        },
        body: shape.upload === 0 ? null : patternOf(id, shape.upload),
        headersTimeout: requestTimeoutMs,
        bodyTimeout: requestTimeoutMs,
      });
      answered = "a head";
      const body = await response.body.text();
      const { headers, statusCode } = response;
      if (statusCode !== 200) {
        if (statusCode === 422) tally.isWrong("an upload reached the upstream broken");
        else tally.failed(`${statusCode} ${headers["x-perch-error"] ?? "of the upstream"} ${repeatability(shape)}`);
        return;
      }
      const wrong =
        (headers["x-chaos-id"] !== id && "another request's answer") ||
        (body !== patternOf(id, shape.bytes) && "a body that is not whole") ||
        (headers["x-chaos-version"] !== headers["x-perch-version"] && "another version than Perch says");
      if (wrong) tally.isWrong(wrong);
      else this.#remember(headers, visitor, mayFallBack || this.fallback === "allowed", tally);
    } catch (error) {
      tally.failed(answered === "a head" ? "cut in the body" : `${howItBroke(error)} ${repeatability(shape)}`);
    }
  }

  #remember(headers: Answered, visitor: Visitor, mayFallBack: boolean, tally: Tally): void {
    const served = String(headers["x-perch-version"]);
    const setCookie = [headers["set-cookie"] ?? []].flat().find((cookie) => cookie.startsWith("perch-shop="));
    if (visitor.version !== undefined && served !== visitor.version && !mayFallBack) {
      tally.isWrong("a pinned user on another version");
    }
    if (setCookie !== undefined) visitor.pin = setCookie.split(";")[0];
    // A fallback does not show the user's version.
    if (!mayFallBack) visitor.version = served;
  }
}

interface Visitor {
  pin: string | undefined;
  version: string | undefined;
}

type Answered = Readonly<Record<string, string | string[] | undefined>>;

/** Whether a proxy may retry it; others may fail with their connection. */
function repeatability(shape: Shape): string {
  return shape.method === "GET" ? "(GET)" : "(upload)";
}

function howItBroke(error: unknown): string {
  const { code, message } = error as { code?: string; message?: string };
  if (code === "UND_ERR_SOCKET" || code === "ECONNRESET" || code === "EPIPE") return "reset";
  if (code === "ECONNREFUSED") return "refused";
  return code ?? message ?? "unknown";
}
