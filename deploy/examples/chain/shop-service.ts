import { createServer, type IncomingHttpHeaders, type Server } from "node:http";

/** What a service hands on with its own calls, as it does with a trace's headers: Perch can not do this for it. */
const handedOnHeaders: readonly string[] = ["x-perch-release", "baggage", "x-user-id", "x-user-region"];

/** A service that answers with its name and version, and behind them what the next service answered. */
export function shopService(
  name: string,
  version: string,
  next: string | undefined,
  handedOn: readonly string[] = handedOnHeaders,
): Server {
  return createServer(async (request, response) => {
    const behind = next === undefined ? [] : await call(next, request.headers, handedOn);
    response.setHeader("content-type", "application/json").end(JSON.stringify([`${name} ${version}`, ...behind]));
  });
}

async function call(next: string, received: IncomingHttpHeaders, handedOn: readonly string[]): Promise<string[]> {
  const headers = handedOn.flatMap((name): [string, string][] => {
    const value = received[name];
    return typeof value === "string" ? [[name, value]] : [];
  });
  const answer = await fetch(next, { headers });
  return (await answer.json()) as string[];
}
