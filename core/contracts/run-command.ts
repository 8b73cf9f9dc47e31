import type { ProjectSettings } from "#core/contracts/settings.ts";
import { readDbtCommand } from "#core/dbt/commands.ts";

/** Options of a project's builds that are another command's too: what selects and compares is a build's own. */
const SHARED = ["target", "profile", "vars", "threads", "noPartialParse"] as const;

/** A project's settings as a run of one command has them; of any other run as they are. */
export function settingsOfCommand(settings: ProjectSettings, input: { readonly command?: unknown }): ProjectSettings {
  if (input.command === undefined) return settings;
  const { build } = settings;
  const shared = SHARED.flatMap((name) => (build[name] === undefined ? [] : [[name, build[name]] as const]));
  return { ...settings, build: Object.fromEntries(shared) };
}

/** What the list of runs calls a run beside its id: its job, or its command; undefined: a run of the whole project. */
export function labelOf(
  { command }: { readonly command?: unknown },
  { job }: Pick<ProjectSettings, "job">,
): string | undefined {
  return Array.isArray(command) ? `${OF_COMMAND}${readDbtCommand(command).name}` : job?.name;
}

/** No job's name has a space. */
const OF_COMMAND = "dbt ";

/** Whether a label is that of one command: its time says nothing of how long a build takes. */
export const isCommandLabel = (label: string | undefined): boolean => label?.startsWith(OF_COMMAND) === true;
