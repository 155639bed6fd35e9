import type { Diagnostic } from "../config/diagnostics.ts";
import type { ConfigView } from "./view.ts";

/** `/api/config`: what is active, and why the file is not, where it is not. Absent things are null, never left out. */
export function configBody({ active, lastError, restartNeeded }: ConfigView) {
  return {
    active:
      active === undefined
        ? null
        : {
            file: active.file ?? null,
            hash: active.hash,
            loadedAt: new Date(active.loadedAtMs).toISOString(),
            warnings: active.warnings.map(problemBody),
          },
    lastError:
      lastError === undefined
        ? null
        : {
            at: new Date(lastError.atMs).toISOString(),
            text: lastError.text,
            problems: lastError.problems.map(problemBody),
          },
    restartNeeded,
  };
}

function problemBody({ code, severity, message, file, line, column, suggestion }: Diagnostic) {
  return {
    code,
    severity,
    position: `${file}:${line}:${column}`,
    file,
    line,
    column,
    message,
    suggestion: suggestion ?? null,
  };
}
