import { Pool } from "undici";
import { matchesRule, requestHeaders, requestPath, type User } from "./users.ts";

interface Visits {
  readonly port: number;
  readonly users: number;
  readonly connections: number;
}

/** Each user visits once without a cookie; the pin and version of the response are stored. */
export async function learnPins(job: Visits): Promise<readonly User[]> {
  const pool = new Pool(`http://127.0.0.1:${job.port}`, { connections: job.connections });
  const users: User[] = [];
  let next = 0;
  const visitAll = async () => {
    for (let user = next++; user < job.users; user = next++) users[user] = await visitOnce(pool, user);
  };
  await Promise.all(Array.from({ length: job.connections }, visitAll));
  await pool.close();
  return users;
}

async function visitOnce(pool: Pool, user: number): Promise<User> {
  const { statusCode, headers, body } = await pool.request({
    method: "GET",
    path: requestPath(user),
    headers: requestHeaders(user, undefined),
  });
  await body.dump();
  const version = headers["x-version"];
  const cookies = [headers["set-cookie"] ?? []].flat();
  const cookie = cookies[0];
  if (statusCode !== 200 || cookies.length !== 1 || cookie === undefined || typeof version !== "string") {
    throw new Error(`a new user was answered ${statusCode} by ${String(version)} with ${cookies.length} cookies`);
  }
  return { pin: cookie.slice(0, cookie.indexOf(";")), version, byRule: matchesRule(user) };
}
