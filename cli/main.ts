import { enableCompileCache } from "node:module";
import { onClosedPipe } from "./closed-pipe.ts";

/**
 * The entry point of `stepwatch`. The exit code is set, not forced: what is written to a pipe must still get there. What
 * Node has compiled is kept where Node keeps it (NODE_COMPILE_CACHE says otherwise): a command starts in half the time.
 */
enableCompileCache();
const [{ runCommandLine }, { realContext }] = await Promise.all([import("./program.ts"), import("./real-context.ts")]);
onClosedPipe([process.stdout, process.stderr]);
process.exitCode = await runCommandLine(process.argv.slice(2), realContext());
