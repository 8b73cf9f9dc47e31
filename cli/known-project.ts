import { sameOptions } from "./command-line.ts";
import type { CommonOptions, Context, DeployedStack } from "./context.ts";
import { UsageError } from "./failure.ts";
import { notInStack } from "./run-end.ts";

/**
 * Refuses a project that is a slip of the pen: what a person does to it would be kept, and nobody would ever read it.
 * @throws {UsageError}
 */
export async function refuseUnknownProject(
  context: Pick<Context, "loadConfig">,
  stack: DeployedStack,
  project: string,
  flags: CommonOptions,
): Promise<void> {
  const known = stack.projects ?? (flags.config === undefined ? null : projectsOf(context, flags));
  if (known !== null) {
    if (known.includes(project)) return;
    throw notInStack(project, known.join(", "), flags);
  }
  if ((await stack.ledger.listRuns(project, 1)).length > 0) return;
  throw new UsageError(
    `The stack ${stack.resources.stackName} has no run of a project ${project}. If the project is new, name its stepwatch.yaml by --config.`,
    `npx stepwatch runs ${project}${sameOptions(flags)}`,
  );
}

const projectsOf = (context: Pick<Context, "loadConfig">, flags: CommonOptions): string[] =>
  Object.keys(context.loadConfig(flags.config).projects);
