import { onClosedPipe } from "./closed-pipe.ts";
import { runCommandLine } from "./program.ts";
import { realContext } from "./real-context.ts";

/** The entry point of `stepwatch`. The exit code is set, not forced: what is written to a pipe must still get there. */
onClosedPipe([process.stdout, process.stderr]);
process.exitCode = await runCommandLine(process.argv.slice(2), realContext());
