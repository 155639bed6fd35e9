/**
 * Faults under load: `npm run chaos`. Users send requests steadily and check every response, while upstreams, files,
 * Perch and its machine fail in turn. Options: --lane fast|standard, --only TEXT, --seconds N, --json. Its pauses are
 * the length of each phase of the load.
 *
 * Exits with 1 where a response was wrong, or a request failed that could have succeeded.
 */
import { parseArgs } from "node:util";
import { Crowd } from "./crowd.ts";
import { type Fault, faults } from "./faults.ts";
import { type Row, table } from "./report.ts";
import { type Lane, Stage } from "./stage.ts";
import { Tally } from "./tally.ts";

const users = 24;
/** How long the load goes on after a fault. */
const afterMs = 2_500;

const { values } = parseArgs({
  options: {
    lane: { type: "string", multiple: true, default: ["fast", "standard"] },
    only: { type: "string", default: "" },
    seconds: { type: "string", default: "4" },
    json: { type: "boolean", default: false },
  },
});
const faultMs = Number(values.seconds) * 1_000;

const rows: Row[] = [];
for (const lane of values.lane as Lane[]) {
  const stage = await Stage.set(lane);
  const crowd = new Crowd({ users, perch: () => stage.perch }, new Tally());
  try {
    // Every user has a pin by then.
    await elapsed(1_000);
    for (const fault of faults.filter(({ name }) => name.includes(values.only))) {
      const row = await play(fault, stage, crowd);
      rows.push(row);
      if (!values.json) console.error(`${lane}: ${fault.name}: ${row.requests} requests, ${row.failed} failed`);
    }
  } finally {
    await crowd.leave();
    await stage.leave();
  }
}
console.log(values.json ? JSON.stringify(rows, undefined, 2) : table(rows));
if (rows.some(({ wrong, unexcused, died }) => wrong + unexcused > 0 || died)) process.exitCode = 1;

async function play(fault: Fault, stage: Stage, crowd: Crowd): Promise<Row> {
  const tally = new Tally();
  crowd.countIn(tally);
  const heal = await fault.begin(stage, crowd);
  await elapsed(faultMs);
  await heal();
  const healedMs = performance.now();
  await elapsed(afterMs);
  const lastMs = tally.lastFailureMs ?? healedMs;
  const unexcused = [...tally.failures].filter(([how]) => !fault.excuses.includes(how));
  return {
    lane: stage.lane,
    fault: fault.name,
    requests: tally.requests,
    failed: tally.failureCount,
    reasons: Object.fromEntries(tally.failures),
    unexcused: unexcused.reduce((total, [, count]) => total + count, 0),
    wrong: tally.wrongCount,
    wrongs: Object.fromEntries(tally.wrong),
    recoveredInMs: Math.max(0, Math.round(lastMs - healedMs)),
    died: stage.perch?.lives !== true,
  };
}

function elapsed(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
