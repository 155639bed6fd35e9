import { createServer } from "node:http";
import { setTimeout as delay } from "node:timers/promises";

/**
 * An application as it runs in a Pod: serves on the address and port of its arguments, takes 2 to 21 ms for each
 * answer, and after SIGTERM waits as long as its preStop hook would (third argument, in milliseconds), accepts nothing
 * more, finishes what it has, and ends.
 */
const [address, port, preStop] = process.argv.slice(2);
let answers = 0;
const server = createServer((request, response) => {
  request.resume().on("end", async () => {
    answers += 1;
    await delay(2 + ((answers * 7) % 20));
    response.writeHead(200, { "x-upstream": address }).end("hello\n");
  });
});
process.on("SIGTERM", async () => {
  await delay(Number(preStop));
  server.close();
});
server.listen(Number(port), address, () => process.stdout.write("ready\n"));
