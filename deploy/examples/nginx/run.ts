/** The way of README.md on this machine: `node deploy/examples/nginx/run.ts` from a checkout, after `npm ci`. */
import { play } from "./play.ts";

let failures = 0;
console.info(`${"".padEnd(52)}requests  failed  on 1.8.0  by the rule  changed`);
await play((step) => {
  failures += step.failures.length;
  const percent = (share: number) => `${Math.round(share * 100)} %`;
  const stats = [
    String(step.requests).padStart(8),
    String(step.failures.length).padStart(6),
    percent(step.newShare).padStart(8),
    percent(step.ruledShare).padStart(11),
    String(step.changes).padStart(7),
  ];
  console.info(step.name.padEnd(52) + stats.join("  "));
  for (const failure of new Set(step.failures)) console.info(`  ${failure}`);
});
console.info(failures === 0 ? "ok  no request failed" : `${failures} requests failed`);
process.exitCode = failures === 0 ? 0 : 1;
