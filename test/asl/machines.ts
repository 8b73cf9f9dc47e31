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

const TIMING = { pollIntervalSeconds: 5, longestRunMinutes: 240 };

export const RUN_MACHINE = {
  arn: "arn:aws:states:us-east-1:000000000000:stateMachine:stepwatch-run",
  definition: runMachineDefinition({
    ...TIMING,
    startRunArn: FUNCTION_ARNS.startRun,
    checkRunArn: FUNCTION_ARNS.checkRun,
    settleRunArn: FUNCTION_ARNS.settleRun,
    projects: { shop: exampleSettings() },
  }),
};

export const CONSUMER_MACHINE = {
  arn: "arn:aws:states:us-east-1:000000000000:stateMachine:stepwatch-consumer",
  definition: consumerMachineDefinition({ ...TIMING, watchNodeArn: FUNCTION_ARNS.watchNode }),
};
