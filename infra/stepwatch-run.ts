import { Arn, ArnFormat, Token } from "aws-cdk-lib";
import type { Construct } from "constructs";
import { InputError } from "#core/errors.ts";
import { DbtTask, type DbtTaskProps } from "./dbt-task.ts";

/** One project of a stack, as somebody's own machine runs it. */
export class StepwatchProject {
  readonly name: string;
  readonly runMachineArn: string;

  constructor(name: string, runMachineArn: string) {
    this.name = name;
    this.runMachineArn = runMachineArn;
  }

  /** A state that runs the project and waits for its verdict. @throws {InputError} */
  asTask(scope: Construct, id: string, props: DbtTaskProps = {}): DbtTask {
    return new DbtTask(scope, id, { runMachineArn: this.runMachineArn, project: this.name }, props);
  }
}

/** Runs of a stack, of this app or of another one. */
export class StepwatchRun {
  readonly runMachineArn: string;
  /** Names of the stack's projects; null where another app has deployed it. */
  readonly projects: readonly string[] | null;

  constructor(runMachineArn: string, projects: readonly string[] | null) {
    this.runMachineArn = runMachineArn;
    this.projects = projects;
  }

  /**
   * Runs of a stack that is deployed already: its output RunMachineArn.
   * @throws {InputError}
   */
  static fromRunMachineArn(runMachineArn: string): StepwatchRun {
    const problem = new InputError("Run machine refused", [
      `"${runMachineArn}": is no ARN of a state machine (arn:aws:states:<region>:<account>:stateMachine:<name>).`,
    ]);
    if (Token.isUnresolved(runMachineArn)) return new StepwatchRun(runMachineArn, null);
    if (!/^arn:[\w-]+:states:/.test(runMachineArn)) throw problem;
    const { resource, resourceName } = Arn.split(runMachineArn, ArnFormat.COLON_RESOURCE_NAME);
    if (resource !== "stateMachine" || resourceName === undefined) throw problem;
    return new StepwatchRun(runMachineArn, null);
  }

  /** @throws {InputError} if the stack has no such project */
  project(name: string): StepwatchProject {
    if (this.projects !== null && !this.projects.includes(name))
      throw new InputError("Project refused", [`"${name}": this stack has ${this.projects.join(", ")}.`]);
    return new StepwatchProject(name, this.runMachineArn);
  }

  /** A state that runs a project and waits for its verdict. @throws {InputError} */
  asTask(scope: Construct, id: string, { project, ...props }: DbtTaskProps & { readonly project: string }): DbtTask {
    return this.project(project).asTask(scope, id, props);
  }
}
