/** The requests of 10,000 users, as the standard lane's parser returns them. */
import { randomFillSync } from "node:crypto";
import { IncomingMessage } from "node:http";
import { Socket } from "node:net";
import { parseAddress } from "../src/decide/ip-address.ts";
import type { RandomSource } from "../src/decide/unit.ts";
import type { Caller } from "../src/http/request-head.ts";
import { StandardHead } from "../src/proxy/standard/request-head.ts";

export const userCount = 10_000;

export const caller: Caller = {
  address: parseAddress("203.0.113.9"),
  trusted: false,
  scheme: "https",
  localPort: 8080,
  listener: "web",
};

export interface Target {
  readonly host: string;
  readonly path: string;
}

const socket = new Socket();

/** The head of a user's request; `pin` is a cookie's `name=value`. */
export function requestHead(user: number, { host, path }: Target, pin: string | undefined): StandardHead {
  const request = new IncomingMessage(socket);
  request.method = "GET";
  request.url = `${path}?page=${user % 50}`;
  request.httpVersionMajor = 1;
  request.httpVersionMinor = 1;
  request.rawHeaders = [
    ["Host", host],
    ["User-Agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36"],
    ["Accept", "application/json"],
    ["Accept-Encoding", "gzip, br"],
    ["Accept-Language", "en-GB,en;q=0.9"],
    ["X-User-Id", `user-${user}`],
    ["X-User-Region", `east-${user % 16}`],
    ["X-User-Registered-At", `2025-${twoDigits((user % 12) + 1)}-${twoDigits((user % 28) + 1)}T08:00:00Z`],
    ["X-App-Version", `4.${user % 20}.${user % 7}`],
    ["X-Device", user % 3 === 0 ? "phone" : "desktop"],
    ["Cookie", pin === undefined ? "session=4fzyo82mvyr; theme=dark" : `session=4fzyo82mvyr; ${pin}; theme=dark`],
  ].flat();
  const head = StandardHead.read(request);
  if ("rejected" in head) throw new Error("The benchmark's own request was refused.");
  return head;
}

function twoDigits(number: number): string {
  return String(number).padStart(2, "0");
}

/** The system's randomness, read for many units at a time, as in the server. */
export function batchedRandom(): RandomSource {
  const words = new Int32Array(256);
  let next = words.length;
  return {
    int32() {
      if (next === words.length) {
        randomFillSync(words);
        next = 0;
      }
      return words[next++] ?? 0;
    },
  };
}
