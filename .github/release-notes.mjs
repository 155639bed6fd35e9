/**
 * `node .github/release-notes.mjs v1.2.3`: the changelog's section of that version, on stdout. Exits 1 if a file of the
 * checkout names another version, or the changelog has no section with a date: such a tag is not to be published.
 */
import { readFileSync } from "node:fs";

const root = process.argv[3] === undefined ? new URL("../", import.meta.url) : new URL(`file://${process.argv[3]}/`);
const read = (name) => readFileSync(new URL(name, root), "utf8");

const tag = process.argv[2] ?? "";
const version = /^v(\d+\.\d+\.\d+)$/.exec(tag)?.[1];

/** The lines below `## 1.2.3 - 2026-01-31`, up to the next heading of that depth. */
function sectionOf(changelog) {
  const [, ...sections] = changelog.split(/^## /m);
  const found = sections.find(
    (section) => /^\S+ - \d{4}-\d\d-\d\d\n/.test(section) && section.startsWith(`${version} `),
  );
  return found?.slice(found.indexOf("\n")).trim();
}

const lock = JSON.parse(read("package-lock.json"));
const named = {
  "package.json": JSON.parse(read("package.json")).version,
  "package-lock.json": lock.version,
  "package-lock.json, packages": lock.packages[""].version,
  Dockerfile: /^ARG VERSION=(.*)$/m.exec(read("Dockerfile"))?.[1],
};
const notes = version === undefined ? undefined : sectionOf(read("CHANGELOG.md"));

const problems =
  version === undefined
    ? [`"${tag}" is not a tag like v1.2.3`]
    : Object.entries(named)
        .filter(([, found]) => found !== version)
        .map(([name, found]) => `${name} has version ${found}, the tag has ${version}`);
if (version !== undefined && !notes) {
  problems.push(`CHANGELOG.md has no section "## ${version} - YYYY-MM-DD" with text`);
}

if (problems.length > 0) {
  for (const problem of problems) console.error(problem);
  process.exit(1);
}
console.log(notes);
