// @ts-check
// JavaScript, since an older Node cannot read TypeScript: it gets the message of the first line.
import "../../../src/cli/node-version.js";
import process from "node:process";

const { serve } = await import("./run.ts");
await serve(process.argv[2] ?? "express");
