import { describe, expect, it } from "vitest";
import { perch, rawUpstream } from "../../kit/freed.ts";
import { H2Client, h2cListener } from "../../kit/h2-client.ts";
import { h2Upstream } from "../../kit/h2-upstream.ts";
import { exchange } from "../../kit/one-service.ts";

/** What node:http2 would throw at, in the middle of nowhere: it may cost a request, never the process. */
async function perchTo(endpoint: string, protocol: "http1" | "http2") {
  const started = await perch(
    `
services: { shop: { protocol: ${protocol}, versions: { stable: { endpoints: ["${endpoint}"] } } } }
routes: [{ name: all, service: shop }]`,
    { listeners: h2cListener },
  );
  return { perch: started, client: new H2Client(started.origin) };
}

const answering = async (head: string) => {
  const { origin } = await rawUpstream((socket, bytes) => {
    if (bytes.endsWith("\r\n\r\n")) socket.write(head);
  });
  return perchTo(origin, "http1");
};

describe("towards an HTTP/2 client", () => {
  it("fields pass that should come once and came twice", async () => {
    const { client } = await answering(
      "HTTP/1.1 200 OK\r\nContent-Type: text/a\r\nContent-Type: text/b\r\nETag: 1\r\nETag: 2\r\nContent-Length: 2\r\n\r\nok",
    );
    const { status, fields, body } = await client.get();
    expect([status, body]).toEqual([200, "ok"]);
    expect(fields.filter((_, i) => fields[i - (i % 2)] === "etag")).toEqual(["etag", "1", "etag", "2"]);
  });

  it("what belongs to a connection does not, in heads and in trailers", async () => {
    const { client } = await answering(
      "HTTP/1.1 200 OK\r\nHTTP2-Settings: AAMAAABk\r\nTrailer: x\r\nTransfer-Encoding: chunked\r\n\r\n" +
        "2\r\nok\r\n0\r\nHTTP2-Settings: AAMAAABk\r\nX-Sum: 1\r\n\r\n",
    );
    const { status, headers, body, trailers } = await client.get();
    expect([status, body, trailers, headers["http2-settings"]]).toEqual([200, "ok", ["x-sum", "1"], undefined]);
  });

  it.each([600, 999])("a status of %i is the upstream's fault", async (status) => {
    const { client } = await answering(`HTTP/1.1 ${status} Odd\r\nContent-Length: 2\r\n\r\nok`);
    const answer = await client.get();
    expect([answer.status, answer.headers["x-perch-error"]]).toEqual([502, "upstream-malformed"]);
  });

  it.each(["204 None", "205 Reset"])("a %s has no body and no length, whatever the upstream says", async (line) => {
    const { client } = await answering(`HTTP/1.1 ${line}\r\nContent-Length: 2\r\n\r\nok`);
    const wanted = { status: Number(line.slice(0, 3)), body: "", reset: 0 };
    expect(await client.get()).toMatchObject(wanted);
    expect(await client.get()).toMatchObject(wanted);
  });
});

describe("towards an HTTP/2 upstream", () => {
  it("fields pass that should come once and came twice", async () => {
    const stable = await h2Upstream();
    const { perch: started } = await perchTo(stable.origin, "http2");
    const head = "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\nUser-Agent: one\r\nuser-agent: two\r\n\r\n";
    expect(await exchange(started.port, head)).toContain("HTTP/1.1 200 ");
    expect(stable.seen[0]?.raw.join(" ")).toContain("user-agent one user-agent two");
  });
});
