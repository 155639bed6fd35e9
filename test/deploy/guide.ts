import { readFileSync } from "node:fs";

export const guide = readFileSync(new URL("../../deploy/README.md", import.meta.url), "utf8");

/** The one YAML block of deploy/README.md that contains this text, as a reader would copy it. */
export function guideBlock(text: string): string {
  const blocks = Array.from(guide.matchAll(/^```yaml\n([^`]*)```$/gm), ([, block = ""]) => block);
  const [found, ...more] = blocks.filter((block) => block.includes(text));
  if (found === undefined || more.length > 0) throw new Error(`not one block of deploy/README.md has ${text}`);
  return found;
}
