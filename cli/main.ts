import { runCommandLine } from "./program.ts";
import { realContext } from "./real-context.ts";

/** The entry point of `stepwatch`. The exit code is set, not forced: what is written to a pipe must still get there. */
process.exitCode = await runCommandLine(process.argv.slice(2), realContext());
