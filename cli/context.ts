import type { Artefacts } from "#clients/artefacts.ts";
import type { Executions } from "#clients/executions.ts";
import type { Ledger } from "#clients/ledger.ts";
import type { Logs } from "#clients/logs.ts";
import type { TaskDefinitions } from "#clients/task-definitions.ts";
import type { ProjectConfig, StepwatchConfig } from "#core/config.ts";
import type { ProjectSettings } from "#core/contracts/settings.ts";
import type { BuildOptions } from "#core/dbt/argv.ts";
import type { Manifest } from "#core/dbt/manifest.ts";
import type { Plan } from "#core/run/planning/plan.ts";
import type { Resources } from "./resources.ts";
import type { Terminal } from "./view/style.ts";

/** A deployed stack, as far as the commands use it. */
export interface DeployedStack {
  readonly resources: Resources;
  /** The embedded AWS, somebody else's engine, or a real account. */
  readonly place: "embedded" | "endpoint" | "aws";
  readonly ledger: Ledger;
  readonly artefacts: Artefacts;
  readonly executions: Executions;
  /** Names of a machine's newest executions, newest first. */
  readonly executionNames: (stateMachineArn: string) => Promise<readonly string[]>;
  /** Asks stop-run to end what is left of a run whose execution is gone. */
  readonly askToStop: (executionArn: string) => Promise<void>;
  readonly readPlan: (planKey: string) => Promise<Plan | null>;
  readonly logs: Logs;
  /** What the next run of a project is started with; null where the stack has no such project. */
  readonly readSettings: (project: string) => Promise<ProjectSettings | null>;
  readonly taskDefinitions: TaskDefinitions;
  /** Projects of the stack as it was deployed; null where only the run machine knows, which says so at a run's start. */
  readonly projects: readonly string[] | null;
  /** stepwatch.yaml, or a source of the stack, has changed since it was deployed. Known of what this checkout has deployed to a machine's own AWS. */
  readonly outdated: boolean;
}

/** Options that every command has. */
export interface CommonOptions {
  readonly config?: string | undefined;
  readonly stack?: string | undefined;
  readonly endpoint?: string | undefined;
  readonly json?: boolean | undefined;
}

/** What `dbt ls` says of a project. */
export interface ListedProject {
  readonly selectedIds: readonly string[];
  readonly manifest: Manifest;
}

/** Everything of the outside that a command touches: tests give their own. */
export interface Context {
  /** Results alone: what `--json` prints, tables for people. */
  readonly out: Terminal;
  /** Progress and failures. */
  readonly err: Terminal;
  readonly environment: Record<string, string | undefined>;
  readonly cwd: string;
  /** Who gives the commands: what is recorded of a stop, a mark, an unlock, a pause. The user's name on this machine. */
  readonly person: string;
  now(): number;
  /** Rejects when the person presses Ctrl-C. */
  sleep(milliseconds: number): Promise<void>;
  /** Ctrl-C was pressed. */
  readonly interrupted: AbortSignal;
  /** stepwatch.yaml, as named by `--config` or where it is looked for. @throws {InputError} if it is not there or does not hold */
  loadConfig(named: string | undefined): StepwatchConfig;
  /** Looks at a project's folders on this machine, and at its disk. @throws {UsageError} if dbt could not use them */
  checkProject(project: ProjectConfig, options: { target?: string | undefined; profile?: string | undefined }): void;
  /** What dbt on this machine selects of a project, with its manifest. @throws {UsageError} in dbt's own words */
  listProject(project: ProjectConfig, options: BuildOptions): Promise<ListedProject>;
  /** @throws {InfrastructureError} if the emulator does not run or nothing is deployed. */
  openStack(options: CommonOptions): Promise<DeployedStack>;
}
