import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { loadConfigText } from "../../../src/config/load.ts";
import { formatDiagnostic } from "../../../src/config/schema-kit/diagnostics.ts";
import { certFile } from "../../kit/pki.ts";
import { temporaryFolder } from "../../kit/served.ts";

const load = (shared: string, file = "/etc/perch/perch.yaml") =>
  loadConfigText(
    `services: { shop: { versions: { stable: { endpoints: ["http://a:80"] } } } }
routes: [{ name: all, service: shop, rateLimit: { requests: 5, shared: { ${shared} } } }]
`,
    { file, env: {}, randomSecret: () => new Uint8Array(32) },
  );

function problemsOf(shared: string) {
  const loaded = load(shared);
  return loaded.ok ? [] : loaded.problems.map(({ message, suggestion }) => ({ message, suggestion }));
}

/** How it is compiled; throws the problems. */
function compiled(shared: string, file?: string) {
  const loaded = load(shared, file);
  if (!loaded.ok) throw new Error(loaded.problems.map(({ message }) => message).join("\n"));
  const spec = loaded.compiled.routes[0]?.rateLimit?.shared;
  if (spec === undefined) throw new Error("not shared");
  return spec;
}

test.each([
  ["redis://redis", { host: "redis", port: 6379, database: 0, username: undefined, tls: undefined }],
  ["redis://redis:1234/7", { host: "redis", port: 1234, database: 7 }],
  ["redis://perch@redis", { username: "perch" }],
  ["redis://a%40b@redis", { username: "a@b" }],
  ["redis://[fd00::1]:1", { host: "fd00::1", port: 1 }],
  ["REDISS://redis", { tls: { ca: undefined } }],
])("%s", (url, wanted) => {
  expect(compiled(`redis: "${url}"`)).toMatchObject({ ...wanted, prefix: "perch", answerMs: 50 });
});

test.each([
  [
    "http://redis",
    "this is not the URL of a Redis server: it does not begin with redis:// or rediss://",
    "write it as in redis://redis:6379",
  ],
  [
    "redis.shop:6379",
    "this is not the URL of a Redis server: it does not begin with redis:// or rediss://",
    "write it as in redis://redis:6379",
  ],
  ["redis://", "this is not the URL of a Redis server", "write it as in redis://redis:6379"],
  ["redis://redis?a=b", "this is not the URL of a Redis server", "write it as in redis://redis:6379"],
  ["redis://redis/shop", "the path of the URL is not a database's number", "write it as in redis://redis:6379/0"],
  ["redis://perch:sesame@redis", "the URL has a password", "put it in a file, and name that by passwordFile"],
  ["redis://%ff@redis", "the user in the URL is not percent-encoded UTF-8", undefined],
])("%s is refused", (url, message, suggestion) => {
  expect(problemsOf(`redis: "${url}"`)).toEqual([{ message, suggestion }]);
});

test("a problem with a URL never shows its password, also not in the line that it quotes", () => {
  for (const url of ["redis://a:sesame@redis", "redis://a:sesame@redis?x", "redis//a:sesame@redis"]) {
    const loaded = load(`redis: "${url}"`);
    const told = loaded.ok ? [] : loaded.problems.map(formatDiagnostic);
    expect(told).toHaveLength(1);
    expect(told[0]).not.toContain("sesame");
    expect(told[0]).toMatch(/shared: \{ redis: \*+ \}/);
  }
});

test("other values that cannot be", () => {
  expect(problemsOf(`redis: "redis://redis", ca: ${certFile("authority")}`)).toEqual([
    { message: "ca needs TLS", suggestion: "write rediss:// in redis" },
  ]);
  expect(problemsOf(`redis: "redis://redis", timeout: 1ms`)[0]?.message).toBe("1ms is not between 5ms and 1s");
  expect(problemsOf(`redis: "redis://redis", prefix: "a:b"`)[0]?.message).toContain('"a:b" is not a prefix');
  expect(problemsOf("prefix: shop")[0]?.message).toBe('a shared rate limit needs the key "redis"');
});

test("the password is the one line of a file, and a changed one is another store", async () => {
  const folder = await temporaryFolder();
  const shared = `redis: "redis://redis", passwordFile: password`;
  const write = (text: string) => writeFile(join(folder, "password"), text);
  const read = () => compiled(shared, join(folder, "perch.yaml"));
  await write("open sesame\r\n");
  const first = read();
  expect(Buffer.from(first.password ?? []).toString()).toBe("open sesame");
  expect(read().digest).toBe(first.digest);
  await write("open sesame!");
  expect(read().digest).not.toBe(first.digest);
  await write("\n");
  expect(read).toThrow(/password cannot be used: it is empty/);
  await write("one\ntwo\n");
  expect(read).toThrow(/it has more than one line/);
});
