import { counted } from "#core/counted.ts";
import type { Root, RunWhy } from "#core/run/reporting/why.ts";
import { optionWords, quoted } from "./command-line.ts";
import type { CommonOptions, Context } from "./context.ts";
import { dbtOf } from "./preflight.ts";

/** A command to copy, as words that are quoted for a shell, and what it does. */
export interface NextCommand {
  readonly words: readonly string[];
  readonly does: string;
}

/** How dbt is called for a project from where this command runs. */
export interface DbtCall {
  /** Folder to go to first; null where no stepwatch.yaml at hand has the project. */
  readonly projectDir: string | null;
  readonly dbt: string;
  readonly profilesDir: string | null;
  /** Variables that stepwatch.yaml gives dbt, by name: their values are nobody's business here. */
  readonly variables: readonly string[];
}

/** Reads stepwatch.yaml, if there is one that has the project: a stack in AWS needs none. */
export function dbtCallOf(context: Pick<Context, "loadConfig">, project: string, flags: CommonOptions): DbtCall {
  const found = projectOf(context, project, flags);
  if (found === null) return { projectDir: null, dbt: "dbt", profilesDir: null, variables: [] };
  const { projectDir, profilesDir, environment, secrets } = found;
  return {
    projectDir,
    dbt: flags.stack === undefined ? dbtOf(found) : "dbt",
    profilesDir: profilesDir === projectDir ? null : profilesDir,
    variables: [...Object.keys(environment), ...Object.keys(secrets)],
  };
}

function projectOf(context: Pick<Context, "loadConfig">, project: string, flags: CommonOptions) {
  try {
    const { projects } = context.loadConfig(flags.config);
    return Object.hasOwn(projects, project) ? projects[project]! : null;
  } catch {
    // What a run was is known without it: the command is told without its folder then.
    return null;
  }
}

/** The words of a shell command that calls dbt with these arguments in the project's folder. */
export function dbtWords(call: DbtCall, args: readonly string[]): string[] {
  const { projectDir, dbt, profilesDir } = call;
  const profiles = profilesDir === null ? [] : ["--profiles-dir", profilesDir];
  const go = projectDir === null ? [] : ["cd", quoted(projectDir), "&&"];
  return [...go, ...[dbt, ...args, ...profiles].map(quoted)];
}

/** What a person can do about a run, most useful first. */
export function nextCommands(
  why: Pick<RunWhy, "runId" | "state" | "retry">,
  roots: readonly Root[],
  nameOf: (uniqueId: string) => string,
  flags: CommonOptions,
): NextCommand[] {
  const { runId, state } = why;
  const command = (verb: string, ...more: string[]) =>
    ["npx", "stepwatch", verb, runId, ...more, ...optionWords(flags)].map(quoted);
  const root = roots.find((one) => one.uniqueId !== null);
  const first = root === undefined ? undefined : nameOf(root.uniqueId!);
  const isTest = root?.resourceType === "test";
  const logs =
    first === undefined
      ? { words: command("logs"), does: "what its containers printed" }
      : { words: command("logs", first), does: "all that dbt said of it" };
  if (state === "running") return [logs];
  if (state !== "red" && state !== "stopped") return [];
  return [
    logs,
    { words: command("retry"), does: retryWords(why.retry) },
    ...(first === undefined ? [] : ofNode(first)),
  ];

  function ofNode(name: string): NextCommand[] {
    return [
      isTest
        ? { words: command("retry", "--ignore-test", name), does: "that test gates nothing any more: green by hand" }
        : ofRetry(name),
      {
        words: command("mark", "good", "--node", name, "--reason", "…"),
        does: "it counts as good: you have seen to it by hand",
      },
    ];
  }

  function ofRetry(name: string): NextCommand {
    if (root?.needsForce !== true) return { words: command("retry", "--node", name), does: "that one with its tests" };
    const does = "once you have looked at its table: a retry does not build it by itself, since its rows could double";
    return { words: command("retry", "--node", name, "--force"), does };
  }
}

/** What the whole retry does, as far as that is known. */
function retryWords(retry: RunWhy["retry"]): string {
  if (retry === null) return "builds all that is not good, and nothing else";
  if (retry.builds === 0) return "finds nothing that it may build by itself";
  const kept = retry.keeps === 0 ? "" : ` and none of the ${retry.keeps} that are good`;
  return `builds ${counted(retry.builds, "vertex", "vertices")}${kept}`;
}
