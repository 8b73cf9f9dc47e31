import { mkdir, rm, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { z } from "zod";
import type { Artefacts } from "#clients/artefacts.ts";
import { isRefused } from "#clients/aws-errors.ts";
import type { RunKey } from "#clients/ledger.ts";
import { LATEST_FILES, latestRunSchema } from "#core/contracts/latest.ts";
import type { BuildOptions } from "#core/dbt/argv.ts";
import { withoutState } from "#core/dbt/state-selection.ts";
import { type StateSource, stateSourceOf } from "#core/dbt/state-source.ts";
import { artefactKeys } from "#core/names.ts";
import type { LogOutput } from "./log-output.ts";
import { patiently } from "./patience.ts";

type Option = "state" | "deferState";
const OPTIONS = ["state", "deferState"] as const;

/** There is nothing to compare with: nothing was built. */
export class StateMissing extends Error {
  override readonly name = "StateMissing";
  readonly nextStep: string;
  constructor(sentence: string, nextStep: string) {
    super(sentence);
    this.nextStep = nextStep;
  }
}

export interface StateDeps {
  readonly key: RunKey;
  readonly task: number;
  /** The run that this one goes on with: it compares with what that one has compared with. */
  readonly resumed: string | undefined;
  readonly artefacts: Pick<Artefacts, "getFile" | "getJson" | "putFile" | "putJson">;
  /** Another bucket, by its name. */
  readonly bucketNamed: (bucket: string) => Pick<Artefacts, "getFile">;
  readonly projectDir: string;
  /** Where the files are laid, in a folder for each option. */
  readonly folder: string;
  readonly output: LogOutput;
  readonly untilMs: () => number;
}

/** What the run's first task that needed a state has found: all that follow take this, whatever `latest` is by then. */
const keptSchema = z.object({
  contract: z.literal(1),
  /** Null: there was none, and everything was built (`stateIfMissing: all`). */
  prefix: z.string().nullable(),
  files: z.array(z.enum(LATEST_FILES)),
});
type Kept = z.infer<typeof keptSchema>;

/**
 * Lays the state that a run's options name into this container's folders, before dbt starts (behaviour H10): the same
 * copy in each task of the run, which its first one keeps in the run's own folder (G2).
 * @param asked the run's own options
 * @returns what makes options for dbt of a run's options
 * @throws {@link StateMissing}
 */
export async function givenState(
  asked: BuildOptions,
  deps: StateDeps,
): Promise<(options: BuildOptions) => BuildOptions> {
  const folders: Partial<Record<Option, string>> = {};
  for (const option of OPTIONS) {
    const text = asked[option];
    if (text === undefined) continue;
    const source = await placeOf(text, deps.projectDir);
    if (source.kind === "folder") continue;
    const folder = await layOut(option, source, asked, deps);
    if (folder === null) return withoutState;
    folders[option] = folder;
  }
  return (options) => ({ ...options, ...folders });
}

/** A folder of the project goes before a run of the same name. */
async function placeOf(text: string, projectDir: string): Promise<StateSource> {
  const source = stateSourceOf(text);
  if (source.kind !== "folder" || source.run === null) return source;
  const isThere = (await stat(resolve(projectDir, source.path)).catch(() => null)) !== null;
  return isThere ? source : { kind: "run", runId: source.run };
}

async function layOut(option: Option, source: StateSource, asked: BuildOptions, deps: StateDeps) {
  const folder = join(deps.folder, option);
  await mkdir(folder, { recursive: true });
  const before = await keptBefore(option, deps);
  const kept = before ?? (await find(option, source, folder, asked, deps));
  if (before !== null && before.prefix !== null) await fetchAll(before.prefix, before.files, folder, deps);
  deps.output.say("state", { option, of: asked[option], prefix: kept.prefix, files: kept.files });
  return kept.prefix === null ? null : folder;
}

async function keptBefore(option: Option, { key, resumed, artefacts, untilMs }: StateDeps): Promise<Kept | null> {
  for (const runId of [key.runId, ...(resumed === undefined ? [] : [resumed])]) {
    const name = artefactKeys.state(key.project, runId, option);
    const found = await patiently(() => unlessRefused(artefacts.getJson(name), null), untilMs);
    if (found === null) continue;
    const kept = keptSchema.parse(found);
    // A run that goes on with this one looks no further back.
    const own = artefactKeys.state(key.project, key.runId, option);
    if (runId !== key.runId) await patiently(() => artefacts.putJson(own, kept), untilMs);
    return kept;
  }
  return null;
}

/** Finds the state and keeps it for the run; of two tasks at once, what the first has kept counts for both. */
async function find(
  option: Option,
  source: StateSource,
  folder: string,
  asked: BuildOptions,
  deps: StateDeps,
): Promise<Kept> {
  const { key, task, artefacts, untilMs } = deps;
  const files = await fetchState(source, folder, deps);
  if (files.length === 0 && !mayBeMissing(asked)) throw missing(asked[option] ?? "", source, key.project);
  const fileKey = (name: string) => artefactKeys.stateFile(key.project, key.runId, task, option, name);
  for (const name of files) await patiently(() => artefacts.putFile(fileKey(name), join(folder, name)), untilMs);
  const own: Kept = { contract: 1, prefix: files.length === 0 ? null : fileKey(""), files };
  await patiently(() => artefacts.putJson(artefactKeys.state(key.project, key.runId, option), own), untilMs);
  const first = (await keptBefore(option, deps)) ?? own;
  if (first.prefix !== own.prefix && first.prefix !== null) await fetchAll(first.prefix, first.files, folder, deps);
  return first;
}

/** A selector of selectors.yml may compare with a state in a way that only dbt knows. */
const mayBeMissing = ({ stateIfMissing, selector }: BuildOptions) => stateIfMissing === "all" && selector === undefined;

/** Fetches what the state has; without a manifest it is none. */
async function fetchState(source: StateSource, folder: string, deps: StateDeps): Promise<Kept["files"]> {
  for (const { from, prefix } of await placesOf(source, deps)) {
    const files: Kept["files"] = [];
    for (const name of LATEST_FILES) {
      const path = join(folder, name);
      const got = await patiently(() => unlessRefused(from.getFile(`${prefix}${name}`, path), false), deps.untilMs);
      if (got) files.push(name);
      else await rm(path, { force: true });
      if (files.length === 0) break;
    }
    if (files.length > 0) return files;
  }
  return [];
}

/** `latest` by the run that it is of, so that its files are of one run; that run's own may have expired. */
async function placesOf(source: StateSource, { key, artefacts, bucketNamed, untilMs }: StateDeps) {
  const { project } = key;
  const ours = (prefix: string) => ({ from: artefacts, prefix });
  if (source.kind === "s3") return [{ from: bucketNamed(source.bucket), prefix: source.prefix }];
  if (source.kind === "run") return [ours(artefactKeys.run(project, source.runId, ""))];
  if (source.kind === "commit")
    return [ours(artefactKeys.commit(project, source.commit).slice(0, -"manifest.json".length))];
  if (source.kind === "folder") return [];
  const pointer = artefactKeys.latest(source.which, project, "run.json");
  const named = latestRunSchema.safeParse(
    await patiently(() => unlessRefused(artefacts.getJson(pointer), null), untilMs),
  );
  const ofRun = named.success ? [ours(artefactKeys.run(project, named.data.runId, ""))] : [];
  return [...ofRun, ours(artefactKeys.latest(source.which, project, ""))];
}

async function fetchAll(prefix: string, files: Kept["files"], folder: string, deps: StateDeps): Promise<void> {
  for (const name of files)
    await patiently(() => deps.artefacts.getFile(`${prefix}${name}`, join(folder, name)), deps.untilMs);
}

/** S3 tells a role that may not list a bucket that an object which is not there is forbidden. */
async function unlessRefused<T>(call: Promise<T>, otherwise: T): Promise<T> {
  try {
    return await call;
  } catch (error) {
    if (isRefused(error)) return otherwise;
    throw error;
  }
}

const ALLOW_NONE =
  "stateIfMissing: all lets a run without a state build everything that is selected beside it (not with a selector of selectors.yml).";

function missing(text: string, source: StateSource, project: string): StateMissing {
  const [why, step] = whyMissing(source, project);
  return new StateMissing(`There is no state ${text}: ${why}. Nothing was built.`, `${step} ${ALLOW_NONE}`);
}

function whyMissing(source: StateSource, project: string): [string, string] {
  switch (source.kind) {
    case "latest": {
      const green = source.which === "latest-green" ? " green and left nothing out" : " its verdict";
      const why = `no run of the whole project ${project}, on its own target, has${green === " its verdict" ? green : ` been${green}`} yet`;
      return [why, "Run the whole project once."];
    }
    case "run":
      return [
        `run ${source.runId} of project ${project} has left no manifest.json, or there is no such run`,
        `npx stepwatch runs ${project} lists runs; one that goes on has left none yet.`,
      ];
    case "commit":
      return [
        `no run of project ${project} on its own target has named the commit ${source.commit}`,
        "Run with --commit where that commit is built.",
      ];
    default:
      return [
        "no manifest.json lies there, or the task's role may not read it",
        "Name the place under build.state in stepwatch.yaml, or allow s3:GetObject and s3:ListBucket on it under taskRole.statements.",
      ];
  }
}
