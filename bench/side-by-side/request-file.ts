/** The users' requests as bytes, in a file that wrk's script and the load generator read. */
import { readFileSync, writeFileSync } from "node:fs";
import { wantedHeader } from "../pages.ts";
import { planRequests, type User } from "../users.ts";

/** ASCII's record separator, as in replay.lua. */
const separator = "\x1e";

interface RequestForm {
  readonly uploadBytes: number;
  /** The path of the nth request; undefined keeps the user's. */
  readonly path: ((index: number) => string) | undefined;
  /** One request in this many is a new visitor's; undefined for none. */
  readonly newOneIn: number | undefined;
  /** Whether they come by way of another proxy. */
  readonly trustedCallers: boolean;
}

/** A request of the file: its head, and the expected version. */
export interface RecordedRequest {
  readonly head: string;
  readonly wanted: string | undefined;
}

export function writeRequestFile(file: string, users: readonly User[], form: RequestForm): void {
  const { uploadBytes, path, newOneIn, trustedCallers } = form;
  const heads = planRequests(users, 1, newOneIn)
    .flat()
    .map((planned, index) => {
      const lines = [
        `${uploadBytes > 0 ? "POST" : "GET"} ${path?.(index) ?? planned.path} HTTP/1.1`,
        "host: shop.example.com",
        ...Object.entries(planned.headers).map(([name, value]) => `${name}: ${value}`),
      ];
      if (trustedCallers) lines.push(`x-forwarded-for: 203.0.113.${index % 250}`, "x-forwarded-proto: https");
      if (planned.wanted !== undefined) lines.push(`${wantedHeader}: ${planned.wanted}`);
      if (uploadBytes > 0) lines.push("content-type: application/byte-stream", `content-length: ${uploadBytes}`);
      return `${lines.join("\r\n")}\r\n\r\n`;
    });
  writeFileSync(file, heads.join(separator), "latin1");
}

export function readRequestFile(file: string): readonly RecordedRequest[] {
  const wanted = new RegExp(`\r\n${wantedHeader}: (\\S+)`);
  return readFileSync(file, "latin1")
    .split(separator)
    .map((head) => ({ head, wanted: wanted.exec(head)?.[1] }));
}
