import { createServer } from "node:http";

/**
 * Stands in for a Pod of nginx: answers every request with its version. On SIGTERM it says `Connection: close` with
 * every answer for a moment, then closes what is idle and ends. It prints its port once it listens.
 */
const [version = "", host = "127.0.0.1"] = process.argv.slice(2);

let ending = false;
const server = createServer((request, response) => {
  request.resume().on("end", () => {
    // A while, so that something is always under way when a Pod or a Perch ends.
    setTimeout(() => {
      if (ending) response.setHeader("connection", "close");
      response.writeHead(200, { server: `nginx/${version}`, "x-version": version }).end(version);
    }, 5);
  });
});
server.listen(0, host, () => {
  const address = server.address();
  if (typeof address === "object") console.info(address?.port);
});
process.on("SIGTERM", () => {
  ending = true;
  setTimeout(() => server.close(() => process.exit(0)), 200);
});
