import { spawnSync } from "node:child_process";
import { randomFillSync } from "node:crypto";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { createServer, type RequestListener, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import { crc32 } from "node:zlib";
import { beforeAll, expect, it } from "vitest";
import { listening } from "../kit/freed.ts";
import { type ServedPerch, servePerch } from "../kit/served.ts";

const checkout = fileURLToPath(new URL("../../", import.meta.url));
const mebibyte = 1024 * 1024;
const size = 1024 * mebibyte;
/** The reader stops each time it has taken so much, until the sender has come to a halt. */
const burst = 64 * mebibyte;
/** What lies between sender and reader, nearly all of it in the kernel: its buffers grow to tens of MiB a connection. */
const underway = 128 * mebibyte;

/** Pieces that differ, in an order that tells a lost, doubled or misplaced one by the checksum. */
const pieces = Array.from({ length: 7 }, () => randomFillSync(Buffer.allocUnsafe(mebibyte)));

interface Progress {
  bytes: number;
  checksum: number;
}

const start = (): Progress => ({ bytes: 0, checksum: 0 });

function took(progress: Progress, chunk: Buffer): void {
  progress.bytes += chunk.length;
  progress.checksum = crc32(chunk, progress.checksum);
}

function sender(sent: Progress): Readable {
  return Readable.from(
    (function* () {
      for (let i = 0; i < size / mebibyte; i++) {
        const piece = pieces[i % pieces.length] ?? Buffer.alloc(0);
        took(sent, piece);
        yield piece;
      }
    })(),
    { objectMode: false, highWaterMark: mebibyte },
  );
}

/** Takes bursts, and between them nothing at all until the sender, held back all the way through Perch, has stopped. */
function slowReader(read: Progress, sent: Progress): Writable {
  let stopAt = burst;
  const rest = async () => {
    let before = -1;
    const halted = () => {
      const same = sent.bytes === before;
      before = sent.bytes;
      return same;
    };
    await expect.poll(halted, { timeout: 20_000, interval: 50 }).toBe(true);
    expect(sent.bytes - read.bytes).toBeLessThan(underway);
  };
  return new Writable({
    write(chunk: Buffer, _encoding, done) {
      took(read, chunk);
      if (read.bytes < stopAt) return done();
      stopAt += burst;
      rest().then(() => done(), done);
    },
  });
}

async function serverFor(answer: RequestListener): Promise<string> {
  const server = createServer(answer);
  return `http://127.0.0.1:${await listening(server)}`;
}

/** Built, as users run it: stripping types while it loads takes some 30 MiB that they never see. */
let main: string;

beforeAll(() => {
  const folder = mkdtempSync(join(tmpdir(), "perch-built-"));
  main = join(folder, "dist", "cli", "main.js");
  copyFileSync(join(checkout, "package.json"), join(folder, "package.json"));
  symlinkSync(join(checkout, "node_modules"), join(folder, "node_modules"));
  const compiler = join(checkout, "node_modules", "typescript", "bin", "tsc");
  const args = [compiler, "-p", join(checkout, "tsconfig.build.json"), "--outDir", join(folder, "dist")];
  // Type errors do not stop it, and are for another command to find.
  spawnSync(process.execPath, args, { stdio: "ignore" });
  return () => rmSync(folder, { recursive: true, force: true });
});

function perchTo(origin: string): Promise<ServedPerch> {
  const yaml = `
services: { files: { versions: { stable: { endpoints: ["${origin}"] } } } }
routes: [{ name: all, service: files }]
`;
  return servePerch(yaml, [], main);
}

/** The most that the process ever held resident, in MiB. */
function peakResident({ process }: ServedPerch): number {
  const status = readFileSync(`/proc/${process.child.pid}/status`, "utf8");
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024;
}

function told(what: string, perch: ServedPerch): void {
  const peak = peakResident(perch);
  console.info(`${what}: Perch held at most ${peak.toFixed(1)} MiB resident`);
  expect(peak).toBeLessThan(150);
}

it("a response of 1 GiB streams to a slow reader, whole, in bounded memory", async () => {
  const [sent, read] = [start(), start()];
  const origin = await serverFor((_request, response) => {
    response.writeHead(200, { "content-length": size });
    pipeline(sender(sent), response).catch(() => {});
  });
  const perch = await perchTo(origin);
  const { promise: done, resolve, reject } = Promise.withResolvers<void>();
  request(perch.origin, { agent: false }, (response) => {
    pipeline(response, slowReader(read, sent)).then(resolve, reject);
  })
    .on("error", reject)
    .end();
  await done;
  expect(read.bytes).toBe(size);
  expect(read.checksum).toBe(sent.checksum);
  told("download", perch);
});

it.each([
  { framing: "with its length", headers: { "content-length": size } },
  { framing: "in chunks", headers: { "transfer-encoding": "chunked" } },
])("an upload of 1 GiB $framing streams to a slow upstream, whole, in bounded memory", async ({ framing, headers }) => {
  const [sent, read] = [start(), start()];
  const { promise: answered, resolve, reject } = Promise.withResolvers<number | undefined>();
  const origin = await serverFor((incoming, response) => {
    pipeline(incoming, slowReader(read, sent)).then(
      () => response.end(),
      (error) => {
        response.destroy();
        reject(error);
      },
    );
  });
  const perch = await perchTo(origin);
  const upload = request(perch.origin, { agent: false, method: "POST", headers }, (response) => {
    response.on("end", () => resolve(response.statusCode)).resume();
  });
  pipeline(sender(sent), upload).catch(reject);
  expect(await answered).toBe(200);
  expect(read.bytes).toBe(size);
  expect(read.checksum).toBe(sent.checksum);
  told(`upload ${framing}`, perch);
});
