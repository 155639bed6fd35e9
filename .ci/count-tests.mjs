// Adds up what vitest's JSON reports say, and prints `<passed> <failed> <skipped>`. Arguments come in pairs: a report and
// the exit code of the run that should have written it. Runs on any Node, so that it needs nothing to be installed.
import { readFileSync } from "node:fs";

const runs = process.argv.slice(2);
const total = { passed: 0, failed: 0, skipped: 0 };
for (let index = 0; index < runs.length; index += 2) {
  const counted = countReport(runs[index]);
  // A run that failed without a failed test to show for it broke outside of its tests: that is one failure too.
  if (runs[index + 1] !== "0" && counted.failed === 0) counted.failed = 1;
  for (const outcome of Object.keys(total)) total[outcome] += counted[outcome];
}
console.log(total.passed, total.failed, total.skipped);

/** A missing or broken report is one failure: the run crashed before it could write it. */
function countReport(file) {
  let report;
  try {
    report = JSON.parse(readFileSync(file, "utf8"));
  } catch {
    return { passed: 0, failed: 1, skipped: 0 };
  }
  // A file that could not be loaded has no tests, yet failed.
  const broken = report.testResults.filter(
    ({ status, assertionResults }) =>
      status === "failed" && !assertionResults.some((assertion) => assertion.status === "failed"),
  );
  return {
    passed: report.numPassedTests,
    failed: report.numFailedTests + broken.length,
    skipped: report.numPendingTests + report.numTodoTests,
  };
}
