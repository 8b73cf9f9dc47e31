#!/usr/bin/env node
/**
 * The `stepwatch` command, of a checkout and of the npm package. It runs on any Node from 20 on and hands over to the
 * bootstrap, which finds Node 24 and starts cli/main with it: in a checkout the TypeScript itself, after installing what
 * is missing; in the package what was made of it. The working directory stays the caller's: `--config` is relative to it.
 */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const checkout = dirname(dirname(fileURLToPath(import.meta.url)));
const fromSource = existsSync(join(checkout, "cli", "main.ts"));
const root = fromSource ? checkout : join(checkout, "dist");
const bootstrap = join(root, "local", "bootstrap.mjs");
const [node = process.execPath, , ...rest] = process.argv;
process.argv = [node, bootstrap, join(root, "cli", fromSource ? "main.ts" : "main.js"), ...rest];
await import(pathToFileURL(bootstrap).href);
