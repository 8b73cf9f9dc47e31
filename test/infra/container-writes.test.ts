import { describe, expect, it, test } from "vitest";
import type { Artefacts } from "#clients/artefacts.ts";
import type { Ledger } from "#clients/ledger.ts";
import { planReader } from "#clients/plan-reader.ts";
import { artefactKeys } from "#core/names.ts";
import type { LedgerChange } from "#core/run/watching/ledger-change.ts";
import { TableStore } from "../../bench/scale/memory-table.ts";
import type { SupervisorDeps } from "../../containers/dbt-runner/supervise.ts";
import { stopRun } from "../../functions/stop-run/stop-run.ts";
import { wake } from "../../functions/wake/wake.ts";
import { CONSUMER_MACHINE, RUN_MACHINE } from "../asl/machines.ts";
import { FakeArtefacts, FakeEvents, FakeTasks } from "../support/fake-clients.ts";
import { clientsOf, guardedLedger, objectCall, placesOf, rowCall } from "../support/guarded-clients.ts";
import type { Decision, IamRequest } from "../support/iam-evaluator.ts";
import { buildEnd, runRow, taskRow } from "../support/ledger-rows.ts";
import { exampleConfig } from "../support/projects.ts";
import { DeployedRole, roleIdOf } from "../support/roles.ts";
import { dataTest, vertex } from "../support/run-builders.ts";
import { SimulatedAws } from "../support/simulated-aws.ts";
import { projectOf } from "../support/simulated-project.ts";
import { withStream } from "../support/simulated-stream.ts";
import { resourcesOf, synthesise } from "./example-stack.ts";

const { template } = synthesise(exampleConfig({}, { schedule: "rate(1 day)" }));
const places = placesOf(resourcesOf(template));
const taskRole = new DeployedRole(template, roleIdOf(template, "shop"));
/** The same with all rights of the account beside them, as an adapter might be given. */
const mighty = new DeployedRole(template, roleIdOf(template, "shop"), { Effect: "Allow", Action: "*", Resource: "*" });

const row = (action: string, ...partitions: string[]) => rowCall(places, action, ...partitions);
const object = (action: string, key: string, once = false) => objectCall(places, action, key, once);
const PLACE = "us-east-1:123456789012";
const call = (action: string, resource: string, context = {}): IamRequest => ({ action, resource, context });

describe("D22: code of the dbt project, with its task's role", () => {
  const OWN = "runs/shop/20260101-000000-abcdef01";
  const denied: readonly (readonly [string, IamRequest])[] = [
    ["settings, deadline, version, stop flag, verdict of its run", row("UpdateItem", "RUN#shop#run-1")],
    ["last words, claims and marks of its vertices", row("UpdateItem", "RUN#shop#run-1")],
    ["a run's row of its own making", row("PutItem", "RUN#shop#forged")],
    ["the row of another run", row("UpdateItem", "RUN#shop#run-2")],
    ["the lock, the queue, a pause, the list of runs", row("UpdateItem", "PROJECT#shop")],
    ["the lock's end", row("DeleteItem", "PROJECT#shop")],
    ["a row's end", row("DeleteItem", "BUILD#shop#run-1")],
    ["a whole row", row("PutItem", "BUILD#shop#run-1")],
    ["what it may write together with what it may not", row("UpdateItem", "BUILD#shop#run-1", "RUN#shop#run-1")],
    ["a batch of what is decided", row("BatchWriteItem", "RUN#shop#run-1")],
    ["a batch with one row of that", row("BatchWriteItem", "BUILD#shop#run-1", "RUN#shop#run-1")],
    ["a batch of another project's", row("BatchWriteItem", "BUILD#other#run-1")],
    ["by PartiQL", row("PartiQLUpdate", "BUILD#shop#run-1")],
    ["another project's builds", row("UpdateItem", "BUILD#other#run-1")],
    ["a project whose name begins alike", row("UpdateItem", "BUILD#shop2#run-1")],
    ["another project's run", row("UpdateItem", "RUN#other#run-1")],
    ["the whole table, read", row("Scan")],
    ["the table's settings", row("UpdateTable")],
    ["the table's end", row("DeleteTable")],
    ["its own plan, again", object("PutObject", `${OWN}/tasks/1/plan.json`)],
    ["an ended run's results, again", object("PutObject", "runs/shop/ended/tasks/1/run_results.json")],
    ["a run's partial parse, again", object("PutObject", `${OWN}/partial_parse.msgpack`)],
    ["another project's results, again", object("PutObject", "runs/other/run/tasks/1/run_results.json")],
    ["what a task is to build", object("PutObject", `${OWN}/sets/2-0123456789abcdef.json`, true)],
    ["a summary", object("PutObject", `${OWN}/summary-1.json`, true)],
    ["a summary, again", object("PutObject", `${OWN}/summary-1.json`)],
    ["what the next build is judged by", object("PutObject", "runs/shop/silence.json", true)],
    ["anything else of the bucket", object("PutObject", "latest/shop.json", true)],
    ["the project's latest artefacts", object("PutObject", "latest-green/shop/manifest.json", true)],
    ["a commit's manifest", object("PutObject", "commits/shop/0a1b2c/manifest.json", true)],
    ["a run's own artefacts", object("PutObject", `${OWN}/run_results.json`, true)],
    ["an object's end", object("DeleteObject", `${OWN}/tasks/1/plan.json`)],
    ["an old version's end", object("DeleteObjectVersion", `${OWN}/tasks/1/plan.json`)],
    ["an object's rights", object("PutObjectAcl", `${OWN}/tasks/1/plan.json`)],
    ["an object's time to live", object("PutObjectTagging", `${OWN}/tasks/1/plan.json`)],
    ["the bucket's policy", call("s3:PutBucketPolicy", places.bucket)],
    ["the bucket's time to live", call("s3:PutLifecycleConfiguration", places.bucket)],
  ];
  const onlyNotAllowed: readonly (readonly [string, IamRequest])[] = [
    ["a row without a key", row("UpdateItem")],
    ["another project's rows, read", row("GetItem", "RUN#other#run-1")],
    ["another project's plan", object("PutObject", "runs/other/run/tasks/1/plan.json", true)],
    ["another project's artefacts, read", object("GetObject", "runs/other/run/tasks/1/manifest.json")],
    ["the names of another project's", call("s3:ListBucket", places.bucket, { "s3:prefix": "runs/other/" })],
    ["the names of all", call("s3:ListBucket", places.bucket)],
    ["a launch", call("ecs:RunTask", `arn:aws:ecs:${PLACE}:task-definition/stepwatch-shop-queue:3`)],
    ["another task's end", call("ecs:StopTask", `arn:aws:ecs:${PLACE}:task/stepwatch/0a1b`)],
    ["a role passed on", call("iam:PassRole", "arn:aws:iam::123456789012:role/stepwatch/stepwatch/x")],
    ["a run", call("states:StartExecution", `arn:aws:states:${PLACE}:stateMachine:stepwatch-run`)],
    ["a consumer", call("states:StartExecution", `arn:aws:states:${PLACE}:stateMachine:stepwatch-consumer`)],
    ["an answer to a token", call("states:SendTaskSuccess", `arn:aws:states:${PLACE}:stateMachine:stepwatch-run`)],
    ["a function", call("lambda:InvokeFunction", `arn:aws:lambda:${PLACE}:function:stepwatch-settle-run`)],
    ["an event", call("events:PutEvents", `arn:aws:events:${PLACE}:event-bus/default`)],
    ["a secret", call("secretsmanager:GetSecretValue", `arn:aws:secretsmanager:${PLACE}:secret:any-a1b2c3`)],
  ];

  it.each(denied)("D22: can not write %s, whatever else its role is given", (_, request) => {
    expect(taskRole.decide(request)).not.toBe("allowed");
    expect(mighty.decide(request)).toBe("denied");
  });

  it.each(onlyNotAllowed)("D22: has no right to %s", (_, request) => {
    expect(taskRole.decide(request)).toBe<Decision>("not allowed");
  });

  it("D22: can write what a container tells: rows of its project's builds, and new objects under a task's prefix", () => {
    expect(taskRole.decide(row("UpdateItem", "BUILD#shop#run-1"))).toBe("allowed");
    expect(taskRole.decide(object("PutObject", `${OWN}/tasks/1/plan.json`, true))).toBe("allowed");
    expect(taskRole.decide(object("PutObject", `${OWN}/partial_parse.msgpack`, true))).toBe("allowed");
  });
});

const permitted = (role: DeployedRole, asked: IamRequest[]) => (request: IamRequest) => {
  asked.push(request);
  const decision = role.decide(request);
  if (decision !== "allowed") throw new Error(`${decision}: ${JSON.stringify(request)}`);
};

describe("D22: what our own code does as the task's role is allowed", () => {
  type Runner = SupervisorDeps["ledger"];
  const key = { project: "shop", runId: "run-1" };
  const taskArn = `arn:aws:ecs:${PLACE}:task/stepwatch/0a1b`;

  async function running() {
    const store = new TableStore();
    const asked: IamRequest[] = [];
    const functions = guardedLedger(store, places, () => undefined);
    await functions.createRun(runRow(key));
    await functions.createTask(key, 0, taskRow(1));
    await functions.markClaimed(key, 1);
    return { asked, ledger: guardedLedger(store, places, permitted(taskRole, asked)) };
  }

  test("D22: every call of the ledger that a container makes", async () => {
    const { asked, ledger } = await running();
    // Every method that the container's code may call: one that is missing here does not compile.
    const calls: { readonly [M in keyof Runner]: () => Promise<unknown> } = {
      passFence: () => ledger.passFence(key, 1, { taskArn, startedAtMs: 1 }),
      readRun: () => ledger.readRun(key),
      readTask: () => ledger.readTask(key, 1),
      readLock: () => ledger.readLock("shop", "default"),
      writeVertex: () => ledger.writeVertex(key, 1, { uniqueId: "model.shop.a", status: "success", evidence: true }),
      writeEnds: () =>
        ledger.writeEnds(key, 1, [
          { uniqueId: "model.shop.b", status: "success", evidence: true },
          { uniqueId: "model.shop.c", status: "skipped", evidence: false },
        ]),
      tellPlan: () => ledger.tellPlan(key, 1, taskArn, "plan"),
      heartbeat: () => ledger.heartbeat(key, 1, { taskArn, atMs: 2, sequence: 1 }),
      endTask: () => ledger.endTask(key, 1, taskArn, buildEnd(), 1),
    };
    for (const [name, make] of Object.entries(calls)) await expect(make(), name).resolves.not.toBe(false);
    const actions = ["dynamodb:GetItem", "dynamodb:UpdateItem", "dynamodb:BatchWriteItem"];
    expect(new Set(asked.map(({ action }) => action))).toEqual(new Set(actions));
  });

  test("D22: every kind of object that a container writes or reads", () => {
    const { project, runId } = key;
    const own = (file: string) => artefactKeys.task(project, runId, 1, file);
    const asked: IamRequest[] = [];
    const as = clientsOf(new TableStore(), places, () => permitted(taskRole, asked));
    const bucket: Pick<Artefacts, "putJson" | "getJson"> = as("container", "artefacts", new FakeArtefacts());
    const files = ["run_results.json", "manifest.json", "dbt.log", "compiled.json", "failing-rows.json"].map(own);
    const written = [artefactKeys.plan(project, runId, 1), artefactKeys.partialParse(project, runId), ...files];
    const read = [artefactKeys.silence(project), artefactKeys.set(project, runId, 1, "h"), ...written];
    return Promise.all([
      ...written.map((name) => expect(bucket.putJson(name, {}), name).resolves.toBeUndefined()),
      ...read.map((name) => expect(bucket.getJson(name), name).resolves.toBeDefined()),
    ]);
  });
});

describe("what each function does as its own role is allowed", () => {
  const shop = (behaviour: Parameters<typeof projectOf>[1]) =>
    projectOf(
      [vertex("model_a"), vertex("model_x"), dataTest("test.a", ["model_a"]), vertex("model_b", ["model_a", "test.a"])],
      behaviour,
    );
  const always = { failures: Number.POSITIVE_INFINITY, message: "Database Error: no table" };

  /** A simulated AWS in which each caller has the role that the template gives it. */
  function guardedAws(behaviour: Parameters<typeof projectOf>[1]) {
    const asked = new Map<string, IamRequest[]>();
    const refused = new Set<string>();
    const store = new TableStore();
    const unasked = guardedLedger(store, places, () => undefined);
    const own = clientsOf(store, places, (caller) => {
      const role = new DeployedRole(template, roleIdOf(template, caller === "container" ? "shop" : caller));
      const requests = asked.get(caller) ?? [];
      asked.set(caller, requests);
      return (request) => {
        requests.push(request);
        if (role.decide(request) !== "allowed") refused.add(`${caller}: ${request.action} ${request.resource}`);
      };
    });
    // By these two the simulated container knows what is heard of it; the product's has no such call.
    const { readTasks, readSomeVertices } = unasked;
    const as: typeof own = (caller, service, shared) => {
      const client = own(caller, service, shared);
      if (caller !== "container" || service !== "ledger") return client;
      return { ...client, ...withStream(client as unknown as Ledger, streams), readTasks, readSomeVertices };
    };
    const streams = (change: LedgerChange) =>
      aws.clock.after(250, () => {
        const artefacts = as("wake", "artefacts", aws.artefacts);
        const executions = as("wake", "executions", aws.machines);
        const more = { readPlan: planReader(artefacts), nowMs: aws.clock.nowMs, warn: () => undefined };
        const deps = { ledger: as("wake", "ledger", unasked), executions, ...more };
        wake([change], { ...deps, consumerMachineArn: CONSUMER_MACHINE.arn }).catch(() => undefined);
      });
    const aws: SimulatedAws = new SimulatedAws(shop(behaviour), 7, as, unasked, false);
    const over = async (arn: string) => {
      const execution = aws.machines.executions.get(arn)!;
      await aws.clock.advance(4 * 3_600_000, () => execution.status !== "RUNNING");
      await aws.clock.advance(60_000);
      expect(aws.errors).toEqual([]);
      return execution.status;
    };
    const start = async (runId: string, input = {}) => {
      const { executionArn } = await aws.machines.start(RUN_MACHINE.arn, runId, { project: "shop", ...input });
      return executionArn;
    };
    return { aws, as, asked, refused, over, start };
  }

  const callers = ["check-run", "container", "settle-run", "start-run", "wake", "watch-node"];

  it.each([
    ["green after a retry", { model_a: { failures: 1, message: "Database Error" } }, "SUCCEEDED"],
    ["red, what is below a failure not built", { model_a: always }, "FAILED"],
  ])("D22: in a run that ends %s", async (_, behaviour, status) => {
    const { asked, refused, over, start } = guardedAws(behaviour);
    expect(await over(await start("run-1"))).toBe(status);
    expect([...refused]).toEqual([]);
    expect([...asked.keys()].sort()).toEqual(callers);
    const written = (asked.get("container") ?? []).filter(({ action }) => action === "dynamodb:UpdateItem");
    const partitions = written.flatMap(({ context }) => context["dynamodb:LeadingKeys"]);
    expect(new Set(partitions)).toEqual(new Set(["BUILD#shop#run-1"]));
  });

  it("D22: in a run that is redriven, by its consumer too, and in one that goes on with it", async () => {
    const { aws, refused, over, start } = guardedAws({ model_a: { failures: 7, message: "Database Error" } });
    const first = await start("run-1");
    expect(await over(first)).toBe("FAILED");
    await aws.machines.redrive(first);
    expect(await over(first)).toBe("FAILED");
    await aws.machines.redrive(aws.consumers().get("model_a")!.arn);
    expect(await over(first)).toBe("FAILED");
    await over(await start("run-2", { resume: { run: "run-1" } }));
    const second = await aws.ledger.readRun({ project: "shop", runId: "run-2" });
    expect(second).toMatchObject({ resumed: "run-1", endedAtMs: expect.any(Number) });
    expect([...refused]).toEqual([]);
  });

  it("D22: where a second run waits, and the first is ended with what it has begun", async () => {
    const { aws, as, refused, over, start } = guardedAws({ model_a: always });
    const first = await start("run-1");
    const second = await start("run-2");
    await aws.clock.advance(15_000);
    await aws.machines.stop(first, "console");
    const executions = as("stop-run", "executions", aws.machines);
    const stopping = stopRun(
      { executionArn: first },
      {
        ledger: as("stop-run", "ledger", aws.ledger),
        artefacts: as("stop-run", "artefacts", aws.artefacts),
        tasks: as("stop-run", "tasks", new FakeTasks()),
        events: as("stop-run", "events", new FakeEvents()),
        executions,
        readPlan: planReader(as("stop-run", "artefacts", aws.artefacts)),
        consumerMachineArn: CONSUMER_MACHINE.arn,
        nowMs: aws.clock.nowMs,
        pause: aws.clock.sleep,
        warn: (sentence) => refused.add(sentence),
      },
    );
    await aws.clock.advance(10 * 60_000);
    await stopping;
    expect(await aws.ledger.readRun({ project: "shop", runId: "run-1" })).toMatchObject({ state: "stopped" });
    await over(second);
    expect([...refused]).toEqual([]);
  });
});
