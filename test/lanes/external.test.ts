import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { externalCases, externalCasesAreMissing } from "../kit/external-cases.ts";
import { trusting } from "./configurations.ts";
import { knownDifferences } from "./known-differences.ts";
import { answer, end, type LaneCase, request, send } from "./lane-case.ts";
import { LanePair } from "./lane-pair.ts";

const isMissing = externalCasesAreMissing();

interface ExternalCase {
  readonly id: string;
  readonly raw_base64: string;
}

function read(file: string): readonly { readonly id: string; readonly bytes: string }[] {
  const lines = readFileSync(externalCases(file), "utf8").trim().split("\n");
  return lines.map((line) => {
    const { id, raw_base64 } = JSON.parse(line) as ExternalCase;
    return { id, bytes: Buffer.from(raw_base64, "base64").toString("latin1") };
  });
}

const requests = (): LaneCase[] =>
  read("requests.jsonl").map(({ id, bytes }) => ({
    name: id,
    client: bytes,
    lingers: true,
    loose: "partial bodies",
  }));
const responses = (): LaneCase[] =>
  read("responses.jsonl").flatMap(({ id, bytes }): LaneCase[] => [
    { name: id, client: request("GET /plain"), upstream: [bytes, bytes], loose: "partial bodies" },
    {
      name: `${id}, then closed`,
      client: request("GET /plain"),
      upstream: [answer(send(bytes), end), answer(send(bytes), end)],
      loose: "partial bodies",
    },
  ]);

describe.skipIf(isMissing)("cases that others wrote", () => {
  const pair = LanePair.forSuite((origins, path) => {
    const config = trusting(origins, path);
    return { ...config, routes: `${config.routes}\n  - { name: rest, service: plain }` };
  });

  it.each([
    ["requests", requests],
    ["responses", responses],
  ] as const)(
    "%s get the same from both lanes, save those that are known to differ",
    { tags: ["slow"], timeout: 240_000 },
    async (what, cases) => {
      const differing = await pair().differing(cases());
      const known = [...knownDifferences.keys()].flatMap((key) => key.split(`${what} of others: `)[1] ?? []);
      const told = [...differing].filter(([name]) => !known.includes(name)).map(([, text]) => text);
      expect([...differing.keys()].sort(), told.join("\n\n")).toEqual(known.sort());
    },
  );
});
