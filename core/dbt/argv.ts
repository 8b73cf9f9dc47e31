import { z } from "zod";

/** Options of `dbt build` that a person may set, in the run input and in stepwatch.yaml. */
export const buildOptionsSchema = z.strictObject({
  select: z.array(z.string().min(1)).optional(),
  exclude: z.array(z.string().min(1)).optional(),
  selector: z.string().min(1).optional(),
  resourceTypes: z.array(z.string().min(1)).optional(),
  excludeResourceTypes: z.array(z.string().min(1)).optional(),
  vars: z.record(z.string(), z.json()).optional(),
  fullRefresh: z.boolean().optional(),
  threads: z.int().min(1).max(256).optional(),
  target: z.string().min(1).optional(),
  profile: z.string().min(1).optional(),
  indirectSelection: z.enum(["eager", "cautious", "buildable", "empty"]).optional(),
  failFast: z.boolean().optional(),
  favorState: z.boolean().optional(),
  defer: z.boolean().optional(),
  state: z.string().min(1).optional(),
  deferState: z.string().min(1).optional(),
  eventTimeStart: z.string().min(1).optional(),
  eventTimeEnd: z.string().min(1).optional(),
  sample: z.string().min(1).optional(),
  empty: z.boolean().optional(),
  warnError: z.boolean().optional(),
  warnErrorOptions: z.record(z.string(), z.json()).optional(),
  noPartialParse: z.boolean().optional(),
  storeFailures: z.boolean().optional(),
  extraArgs: z.array(z.string()).optional(),
});

export type BuildOptions = z.infer<typeof buildOptionsSchema>;

/** Where one dbt process reads and writes. Each process of a run has its own target and log folder. */
export interface DbtFolders {
  projectDir: string;
  profilesDir: string;
  targetDir: string;
  logDir: string;
}

/** A flag that a person asked for and that stepwatch can not pass to dbt. */
export class DbtFlagRefused extends Error {
  override readonly name = "DbtFlagRefused";
  readonly flag: string;
  constructor(flag: string, reason: string) {
    super(`The dbt argument ${flag} can not be passed: ${reason}`);
    this.flag = flag;
  }
}

/** `dbt build`, everything after the executable. @throws {@link DbtFlagRefused} */
export function buildArgv(_folders: DbtFolders, _options: BuildOptions, _selection?: readonly string[]): string[] {
  throw new Error("unwritten");
}

/** `dbt test` with the same options; what only `build` knows is left out. */
export function testArgv(_folders: DbtFolders, _options: BuildOptions, _selection?: readonly string[]): string[] {
  throw new Error("unwritten");
}

/** `dbt ls --output json --output-keys …`: one JSON object per line, and nothing else on stdout. */
export function lsArgv(_folders: DbtFolders, _options: BuildOptions): string[] {
  throw new Error("unwritten");
}

export function parseArgv(_folders: DbtFolders, _options: BuildOptions): string[] {
  throw new Error("unwritten");
}

/** The options that a fallback or a recovery build takes over from the run (row G2). */
export function recoveryOptions(_options: BuildOptions): BuildOptions {
  throw new Error("unwritten");
}

/** Refuses what would blind the reader or fight our own flags. @throws {@link DbtFlagRefused} */
export function checkExtraArgs(_extraArgs: readonly string[]): void {
  throw new Error("unwritten");
}
