// @ts-check
// Plain JavaScript, for what it caches is also that types were stripped, of every file that is loaded after this one.
import "./node-version.js";
import module from "node:module";
import { homedir } from "node:os";
import { join } from "node:path";
import process from "node:process";

/**
 * Keeps the compiled code of this program between its starts. Node itself does so where NODE_COMPILE_CACHE names a
 * directory; without it, in the user's own: code of a directory that others may write would run as this user. Without a
 * home, or where it cannot be written, nothing is kept.
 */
function keepCompiledCode() {
  if (process.env["NODE_COMPILE_CACHE"] !== undefined) return;
  try {
    const directory = join(homedir(), ".cache", "perch");
    // The variable is for worker threads, which enable the cache for themselves.
    if (module.enableCompileCache(directory).directory !== undefined) process.env["NODE_COMPILE_CACHE"] = directory;
  } catch {
    // No home.
  }
}

keepCompiledCode();
