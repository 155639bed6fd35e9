import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** A third party's HTTP/1 cases, which cannot be copied into the project: PERCH_EXTERNAL_CASES, or beside the checkout. */
const folder =
  process.env["PERCH_EXTERNAL_CASES"] ?? fileURLToPath(new URL("../../../shared/external/http1/", import.meta.url));

/** A file of those cases. */
export const externalCases = (name: string): string => join(folder, name);

/** Whether they are missing, which is printed. */
export function externalCasesAreMissing(): boolean {
  const isMissing = !existsSync(externalCases("requests.jsonl"));
  if (isMissing) console.info(`skipped: no cases in ${folder}; set PERCH_EXTERNAL_CASES to their folder`);
  return isMissing;
}
