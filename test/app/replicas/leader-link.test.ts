import { createServer, type ServerResponse } from "node:http";
import { expect, test } from "vitest";
import { sendReports } from "../../../src/app/replicas/leader-link.ts";
import { listening } from "../../kit/freed.ts";

const message = { replica: "a", term: "", revision: 0, withdrawn: [], reports: [] };
const { signal } = new AbortController();

async function refusalOf(answer: (response: ServerResponse) => void): Promise<string> {
  const server = createServer((request, response) => {
    request.resume();
    response.writeHead(403, { "content-type": "application/problem+json" });
    answer(response);
  });
  const address = `127.0.0.1:${await listening(server)}`;
  const sent = sendReports({ address, token: "t" }, message, signal);
  const why = await sent.then(
    () => "it was answered",
    (error: Error) => error.message,
  );
  return why.replace(address, "LEADER");
}

test.each([
  ["as it says, in its first 300 characters", 400, `403 ${"x".repeat(300)}`],
  ["by its status alone where that is a body which no refusal has", 15_000_000, "403"],
])("a leader's refusal is told %s", async (_, length, told) => {
  const why = await refusalOf((response) => response.end(JSON.stringify({ detail: "x".repeat(length) })));
  expect(why).toBe(`the leading replica at LEADER refused: ${told}`);
});

test("a refusal is not read any further than its first 64 KiB", async () => {
  let sent = 0;
  const why = await refusalOf((response) => {
    const more = () => {
      while (!response.destroyed && response.write("x".repeat(64 * 1024))) sent++;
      response.once("drain", more);
    };
    more();
  });
  expect(why).toBe("the leading replica at LEADER refused: 403");
  // What the buffers of both sockets hold, on the way.
  expect(sent).toBeLessThan(1_000);
});
