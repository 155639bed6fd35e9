import { readFileSync } from "node:fs";

/** Perch's own version. The package's file is one folder up, whether this runs from `src` or from `dist`. */
export const packageVersion: string = (() => {
  const text = readFileSync(new URL("../package.json", import.meta.url), "utf8");
  const { version } = JSON.parse(text) as { version: string };
  return version;
})();
