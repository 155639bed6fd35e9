import { mkdir, writeFile } from "node:fs/promises";
import { bundlePage } from "./bundle-page.ts";

// Part of `npm run build`: puts the bundled dashboard where the built program looks for it.
const folder = new URL("../../../dist/dashboard/", import.meta.url);
const { html, files } = await bundlePage(new URL("../../dashboard/", import.meta.url));
await mkdir(new URL("assets/", folder), { recursive: true });
await writeFile(new URL("index.html", folder), html);
for (const { path, body } of files) await writeFile(new URL(`.${path}`, folder), body);
