/** Path of a Node 24 executable: the running one, or the one that came by npm. Throws one sentence if there is none. */
export function findNode24(
  root: string,
  current?: {
    readonly version: string;
    readonly execPath: string;
    readonly platform: string;
    readonly arch: string;
  },
): string;
/** Runs a program on this terminal; resolves to its exit code. */
export function runToTheEnd(executable: string, programArguments: string[]): Promise<number>;
