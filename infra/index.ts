/** What a CDK app of one's own imports from "stepwatch". */
export type { StepwatchSettings } from "#core/config.ts";
export { InputError } from "#core/errors.ts";
export { DbtProject } from "./dbt-project.ts";
export { type DbtRunOptions, DbtTask, type DbtTaskProps } from "./dbt-task.ts";
export type { StackChoices } from "./stack-props.ts";
export { StepwatchProject, StepwatchRun } from "./stepwatch-run.ts";
export { StepwatchStack, type StepwatchStackProps } from "./stepwatch-stack.ts";
