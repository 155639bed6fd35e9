/**
 * `npm run -s sbom`: the bill of materials (CycloneDX) of what is shipped, from the lock file, on stdout.
 *
 * `npm sbom --omit dev` does not do it: it also omits packages that are shipped and that a development dependency needs
 * as well, such as yaml.
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

const { name } = JSON.parse(readFileSync("package.json", "utf8"));
const options = { encoding: "utf8", maxBuffer: 64 * 1024 * 1024 };
const all = JSON.parse(execFileSync("npm", ["sbom", "--package-lock-only", "--sbom-format", "cyclonedx"], options));

const isShipped = ({ properties = [] }) =>
  !properties.some((property) => property.name === "cdx:npm:package:development");
const components = all.components.filter(isShipped);
const refs = new Set([all.metadata.component["bom-ref"], ...components.map((component) => component["bom-ref"])]);
const dependencies = all.dependencies
  .filter(({ ref }) => refs.has(ref))
  .map(({ ref, dependsOn }) => ({ ref, dependsOn: dependsOn.filter((target) => refs.has(target)) }));

// npm names the root after its folder.
const metadata = { ...all.metadata, component: { ...all.metadata.component, name } };
console.log(JSON.stringify({ ...all, metadata, components, dependencies }, null, 2));
