import type { Artefacts } from "#clients/artefacts.ts";
import type { Executions } from "#clients/executions.ts";
import type { Ledger } from "#clients/ledger.ts";
import type { Logs } from "#clients/logs.ts";
import type { ProjectConfig, StepwatchConfig } from "#core/config.ts";
import type { Plan } from "#core/run/plan.ts";
import type { Resources } from "./resources.ts";
import type { Terminal } from "./view/style.ts";

/** A deployed stack, as far as the commands use it. */
export interface DeployedStack {
  readonly resources: Resources;
  /** The embedded AWS, or a real account. */
  readonly place: "embedded" | "aws";
  readonly ledger: Ledger;
  readonly artefacts: Artefacts;
  readonly executions: Executions;
  readonly readPlan: (planKey: string) => Promise<Plan | null>;
  readonly logs: Logs;
  /** Projects of the stack as it was deployed; null where only the run machine knows, which says so at a run's start. */
  readonly projects: readonly string[] | null;
  /** stepwatch.yaml, or a source of the stack, has changed since it was deployed. Known of the embedded AWS alone. */
  readonly outdated: boolean;
}

/** Options that every command has. */
export interface CommonOptions {
  readonly config?: string | undefined;
  readonly stack?: string | undefined;
  readonly json?: boolean | undefined;
}

/** Everything of the outside that a command touches: tests give their own. */
export interface Context {
  /** Results alone: what `--json` prints, tables for people. */
  readonly out: Terminal;
  /** Progress and failures. */
  readonly err: Terminal;
  readonly environment: Record<string, string | undefined>;
  readonly cwd: string;
  now(): number;
  /** Rejects when the person presses Ctrl-C. */
  sleep(milliseconds: number): Promise<void>;
  /** Ctrl-C was pressed. */
  readonly interrupted: AbortSignal;
  /** stepwatch.yaml, as named by `--config` or where it is looked for. @throws {InputError} if it is not there or does not hold */
  loadConfig(named: string | undefined): StepwatchConfig;
  /** Looks at a project's folders on this machine, and at its disk. @throws {UsageError} if dbt could not use them */
  checkProject(project: ProjectConfig, options: { target?: string | undefined; profile?: string | undefined }): void;
  /** @throws {InfrastructureError} if the emulator does not run or nothing is deployed. */
  openStack(options: CommonOptions): Promise<DeployedStack>;
}
