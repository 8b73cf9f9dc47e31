#!/usr/bin/env node
/**
 * The `stepwatch` command. It runs on any Node from 20 on and hands over to the bootstrap, which installs what is
 * missing and starts cli/main.ts with Node 24. The working directory stays the caller's: `--config` is relative to it.
 */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const [node = process.execPath, , ...rest] = process.argv;
process.argv = [node, join(here, "..", "local", "bootstrap.mjs"), join(here, "main.ts"), ...rest];
await import("../local/bootstrap.mjs");
