#!/usr/bin/env node
import "./node-version.js";
import { boundSemiSpace } from "./semi-space.ts";

if (process.argv[2] === "serve") boundSemiSpace();

// Loaded only now, so that the version check comes before anything that an older Node could not even parse.
const { run } = await import("./run.ts");
await run(process.argv.slice(2));
