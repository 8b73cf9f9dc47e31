import type { AslDefinition, AslTask } from "../../infra/state-machines/asl.ts";
import { consumerMachineDefinition } from "../../infra/state-machines/consumer-machine.ts";
import { runMachineDefinition } from "../../infra/state-machines/run-machine.ts";
import { exampleSettings } from "../support/projects.ts";

const functionArn = (name: string) => `arn:aws:lambda:us-east-1:000000000000:function:stepwatch-${name}`;

/** The functions of both machines by ARN. */
export const FUNCTION_ARNS = {
  startRun: functionArn("start-run"),
  checkRun: functionArn("check-run"),
  settleRun: functionArn("settle-run"),
  watchNode: functionArn("watch-node"),
};

/** Both machines as a stack renders them whose waits are woken, and as one that polls. */
export const runMachine = (watch: "wake" | "poll") => ({
  arn: "arn:aws:states:us-east-1:000000000000:stateMachine:stepwatch-run",
  definition: runMachineDefinition({
    watch,
    pollIntervalSeconds: 5,
    longestRunMinutes: 240,
    startRunArn: FUNCTION_ARNS.startRun,
    checkRunArn: FUNCTION_ARNS.checkRun,
    settleRunArn: FUNCTION_ARNS.settleRun,
    projects: { shop: exampleSettings() },
  }),
});

export const consumerMachine = (watch: "wake" | "poll") => ({
  arn: "arn:aws:states:us-east-1:000000000000:stateMachine:stepwatch-consumer",
  definition: consumerMachineDefinition({
    watch,
    pollIntervalSeconds: 5,
    longestRunMinutes: 240,
    watchNodeArn: FUNCTION_ARNS.watchNode,
  }),
});

export const RUN_MACHINE = runMachine("wake");
export const CONSUMER_MACHINE = consumerMachine("wake");

/** A definition's states that call functions, by name. */
export const tasksOf = ({ States }: AslDefinition): [string, AslTask][] =>
  Object.entries(States).filter((entry): entry is [string, AslTask] => entry[1].Type === "Task");
