import { existsSync, readFileSync } from "node:fs";
import { expect, it } from "vitest";

const root = new URL("../../", import.meta.url);

it("every file that the architecture page names is there", () => {
  const page = readFileSync(new URL("docs/architecture.md", root), "utf8");
  const named = [...page.matchAll(/`([\w./-]+\.ts|[\w-]+\/(?:[\w-]+\/)?)`/g)].map(([, path = ""]) => path);
  expect(named.length).toBeGreaterThan(40);
  // Some stand behind the folder of the file before them.
  const folders = ["", "src/", "src/proxy/", "src/proxy/standard/", "src/config/"];
  const missing = named.filter((path) => !folders.some((folder) => existsSync(new URL(folder + path, root))));
  expect(missing).toEqual([]);
});
