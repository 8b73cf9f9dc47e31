import {
  type CloudFormationClient,
  CreateStackCommand,
  waitUntilStackCreateComplete,
} from "@aws-sdk/client-cloudformation";
import {
  CreateStateMachineCommand,
  DescribeExecutionCommand,
  ListStateMachinesCommand,
  type SFNClient,
  StartExecutionCommand,
} from "@aws-sdk/client-sfn";
import { App, DefaultStackSynthesizer, Duration, type IStackSynthesizer, Stack } from "aws-cdk-lib";
import { DefinitionBody, JsonPath, Pass, Result, StateMachine } from "aws-cdk-lib/aws-stepfunctions";
import { afterAll, expect, test } from "vitest";
import { readDeployment } from "../../cli/deployment-record.ts";
import { StepwatchRun } from "../../infra/stepwatch-run.ts";
import { eventClients } from "../support/consumers.ts";
import { ownStack } from "../support/own-stack.ts";
import { askPostgres } from "../support/warehouse.ts";

const deployed = ownStack();
const SYNC = "arn:aws:states:::states:startExecution.sync:2";

/** How often the warehouse saw each model built, over all attempts at the same work: they adopt what is good. */
async function builds(since: string): Promise<Record<string, number>> {
  const sql = `select name, count(*) from orchard.builds where noted_at >= '${since}' group by 1`;
  return Object.fromEntries(await askPostgres(deployed, sql));
}

/** A state that runs a project and waits for its verdict, as a team would write it into a machine of its own. */
function asTask(runMachineArn: string, name: string, input: Record<string, unknown>, next: Record<string, unknown>) {
  return {
    Type: "Task",
    Resource: SYNC,
    Parameters: {
      StateMachineArn: runMachineArn,
      "Name.$": `States.Format('{}-${name}-{}', $$.Execution.Name, $$.State.RetryCount)`,
      Input: input,
    },
    ...next,
  };
}

async function outer(
  name: string,
  states: Record<string, unknown>,
  startAt: string,
): Promise<{ status: string; output: unknown }> {
  const { machines } = await eventClients(deployed);
  const definition = JSON.stringify({ StartAt: startAt, States: states });
  const roleArn = "arn:aws:iam::000000000000:role/outer";
  const made = await machines.send(new CreateStateMachineCommand({ name, definition, roleArn }));
  const started = await machines.send(
    new StartExecutionCommand({ stateMachineArn: made.stateMachineArn, name, input: "{}" }),
  );
  return ended(machines, started.executionArn!);
}

async function ended(machines: SFNClient, executionArn: string): Promise<{ status: string; output: unknown }> {
  const untilMs = Date.now() + 200_000;
  for (;;) {
    const { status = "", output } = await machines.send(new DescribeExecutionCommand({ executionArn }));
    if (status !== "RUNNING") return { status, output: output === undefined ? null : JSON.parse(output) };
    if (Date.now() > untilMs) throw new Error(`The outer machine still runs: ${executionArn}`);
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

const after = { Type: "Pass", Result: { told: "the step after" }, End: true };
const runMachineArn = () => readDeployment(deployed.stateDir)!.outputs.RunMachineArn!;

test("H8 G13: as a task state of a larger machine: the step after runs on green, also after recovery, and not on red", async () => {
  const run = (name: string, fail: Record<string, number>, next: Record<string, unknown>) =>
    asTask(runMachineArn(), name, { project: "orchard", select: ["plum", "plum_cake"], vars: { fail } }, next);
  const states = { Build: run("flaky", { plum: 1 }, { Next: "After" }), After: after };
  expect(await outer(`outer-green-${Date.now()}`, states, "Build")).toMatchObject({
    status: "SUCCEEDED",
    output: { told: "the step after" },
  });
  const red = { Build: run("broken", { plum: 99 }, { Next: "After" }), After: after };
  expect((await outer(`outer-red-${Date.now()}`, red, "Build")).status).toBe("FAILED");
}, 300_000);

test("H8 G13: extract, dbt, report, deployed by CDK: the middle fails, is repeated by the machine's own Retry, and the report follows the green", async () => {
  const since = new Date().toISOString();
  const name = `outer-${Date.now()}`;
  const app = new App();
  const stack = new Stack(app, name, {
    synthesizer: new DefaultStackSynthesizer({ generateBootstrapVersionRule: false }) as IStackSynthesizer,
  });
  const orchard = StepwatchRun.fromRunMachineArn(runMachineArn()).project("orchard");
  await mendAfterFirstRun("plum", since);
  const build = orchard.asTask(stack, "Build", {
    select: ["plum+", "quince"],
    vars: { fail: { plum: 5 }, day: JsonPath.stringAt("$.day") },
    policy: { retries: { node: 0 } },
    resultPath: "$.dbt",
  });
  build.addRetry({ errors: ["States.ALL"], interval: Duration.seconds(1), maxAttempts: 4, backoffRate: 1 });
  const extract = new Pass(stack, "Extract", { result: Result.fromObject({ day: "2026-01-31" }) });
  const report = new Pass(stack, "Report", { resultPath: "$.report", result: Result.fromString("sent") });
  new StateMachine(stack, "Machine", {
    stateMachineName: name,
    definitionBody: DefinitionBody.fromChainable(extract.next(build).next(report)),
  });
  const { machines, templates } = await eventClients(deployed);
  await deploy(templates, name, JSON.stringify(app.synth().getStackByName(name).template));
  const [found] = (await machines.send(new ListStateMachinesCommand({}))).stateMachines!.filter(
    (one) => one.name === name,
  );
  const started = await machines.send(
    new StartExecutionCommand({ stateMachineArn: found!.stateMachineArn, name, input: "{}" }),
  );
  const { status, output } = await ended(machines, started.executionArn!);
  expect(status).toBe("SUCCEEDED");
  const { report: sent, dbt } = output as { report: string; dbt: Record<string, unknown> };
  expect(sent).toBe("sent");
  expect(dbt).toMatchObject({ project: "orchard", state: "green", runId: expect.any(String) });
  expect(dbt.counts).toMatchObject({ failed: 0, doomed: 0, not_built: 0 });
  expect(dbt.summaryKey).toBe(`runs/orchard/${dbt.runId}/summary-1.json`);
  expect(JSON.stringify(dbt).length).toBeLessThan(1_000);
  const built = await builds(since);
  expect(built).toEqual(Object.fromEntries(Object.keys(built).map((one) => [one, 1])));
  expect(built).toMatchObject({ plum: 1, plum_cake: 1, quince: 1 });
}, 300_000);

/** Other files have runs of the orchard too, whose models are to fail and to sleep as those say. */
afterAll(async () => {
  const drop = "drop trigger if exists mend on orchard.tries; drop function if exists orchard.mend(); commit; select 1";
  await askPostgres(deployed, drop);
});

/** From its second run on, a model that fails by its number of tries in a run has had them all. */
async function mendAfterFirstRun(model: string, since: string): Promise<void> {
  const earlier = `select 1 from orchard.tries where name = '${model}' and run_id <> new.run_id and noted_at >= '${since}'`;
  const had = `insert into orchard.tries select new.name, new.run_id, 'mended', new.noted_at from generate_series(1, 9)`;
  const body = `begin if pg_trigger_depth() = 1 and new.name = '${model}' and exists (${earlier}) then ${had}; end if; return null; end`;
  await askPostgres(
    deployed,
    `create or replace function orchard.mend() returns trigger language plpgsql as $mend$ ${body} $mend$;
     create or replace trigger mend after insert on orchard.tries for each row execute function orchard.mend(); commit; select 1`,
  );
}

/** By CloudFormation, as `cdk deploy` does it. */
async function deploy(templates: CloudFormationClient, StackName: string, TemplateBody: string): Promise<void> {
  await templates.send(new CreateStackCommand({ StackName, TemplateBody, Capabilities: ["CAPABILITY_NAMED_IAM"] }));
  await waitUntilStackCreateComplete({ client: templates, maxWaitTime: 60, minDelay: 1 }, { StackName });
}
