#!/usr/bin/env node
import "./compile-cache.js";
import { boundSemiSpace } from "./semi-space.ts";

if (process.argv[2] === "serve") boundSemiSpace();

// A dynamic import, so that the version check runs before an older Node has to parse the rest.
const { run } = await import("./run.ts");
await run(process.argv.slice(2));
