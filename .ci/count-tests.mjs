// Adds up what vitest's JSON reports say, and prints `<passed> <failed> <skipped>`. Arguments come in pairs: a report and
// the exit code of the run that should have written it. Runs on any Node, so that it needs nothing to be installed.
// A test that one run left out and another ran is not skipped. Each failure is named on standard error with what it said.
import { readFileSync } from "node:fs";

const ran = new Set();
const leftOut = new Set();
const total = { passed: 0, failed: 0 };
const args = process.argv.slice(2);
for (let index = 0; index < args.length; index += 2) {
  const { passed, failed } = countReport(args[index]);
  total.passed += passed;
  // A run that failed without a failed test to show for it broke outside of its tests: that is one failure too.
  total.failed += failed === 0 && args[index + 1] !== "0" ? 1 : failed;
}
console.log(total.passed, total.failed, [...leftOut].filter((test) => !ran.has(test)).length);

/** A missing or broken report is one failure: the run crashed before it could write it. */
function countReport(file) {
  let report;
  try {
    report = JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    console.error(`FAILED: no report, the run ended early: ${error.message}`);
    return { passed: 0, failed: 1 };
  }
  for (const { name, assertionResults } of report.testResults) {
    for (const { fullName, status, failureMessages } of assertionResults) {
      (status === "passed" || status === "failed" ? ran : leftOut).add(`${name}\n${fullName}`);
      if (status === "failed") console.error(`FAILED: ${name}: ${fullName}\n  ${failureMessages.join("\n  ")}`);
    }
  }
  // A file that could not be loaded has no tests, yet failed.
  const broken = report.testResults.filter(
    ({ status, assertionResults }) =>
      status === "failed" && !assertionResults.some((assertion) => assertion.status === "failed"),
  );
  for (const { name, message } of broken) console.error(`FAILED: ${name}, outside of its tests\n  ${message}`);
  return { passed: report.numPassedTests, failed: report.numFailedTests + broken.length };
}
