import type { Executions } from "#clients/executions.ts";
import type { RunRow, TaskRow, VertexRow } from "#core/contracts/ledger.ts";
import { CONTRACT, type ConsumerReference, type RunReference } from "#core/contracts/payloads.ts";
import { RowMissing } from "#core/errors.ts";
import { consumerName } from "#core/names.ts";
import { consumersDue } from "#core/run/consumer.ts";
import type { Decision } from "#core/run/decision.ts";
import { eachLimited } from "#core/run/limit.ts";
import type { Plan } from "#core/run/plan.ts";
import { step } from "#core/run/step.ts";
import { stopReason } from "#core/run/stop-reason.ts";
import { signatureOf } from "#core/run/task-watch.ts";
import { currentProducer, isOver } from "#core/run/vertex-view.ts";
import { claimTask, finishLaunches, type LaunchDeps, observeTasks, stopTasks } from "./launches.ts";

export interface CheckRunDeps extends LaunchDeps {
  readonly executions: Pick<Executions, "start">;
  readonly readPlan: (planKey: string) => Promise<Plan | null>;
  readonly consumerMachineArn: string;
  /** What a warm function saw last, by run: a turn in which nothing moved reads no vertices. Loss costs one read. */
  readonly seen: Map<string, string>;
}

/** StartExecution calls at once: far below every quota, and MiniStack takes about 50 a second. */
const CONSUMERS_AT_ONCE = 10;

/**
 * One turn of the run's loop, the only place where a run is decided: learns what became of its tasks, applies the step
 * under the run's version, launches, starts consumers. Any number of these may run at once or die anywhere: a decision
 * that lost the version is dropped, and a task that is found half launched is finished under the same number.
 * @throws RowMissing
 */
export async function checkRun(reference: RunReference, deps: CheckRunDeps): Promise<"waiting" | "settle"> {
  if (reference.skipped !== undefined) return "settle";
  const run = await deps.ledger.readRun(reference);
  if (!run) throw new RowMissing(`The ledger has no run ${reference.runId} of project ${reference.project}.`);
  if (run.state !== "running" || run.readyAtMs !== undefined) return "settle";
  const stop = stopReason(run, deps.nowMs());
  const tasks = await presentTasks(run, stop, deps);
  const signature = signatureOf(tasks, run.planKey);
  const producer = currentProducer(tasks);
  const building = producer !== null && !isOver(producer);
  if (stop === null && building && deps.seen.get(run.runId) === signature) return "waiting";
  const rows = await deps.ledger.readVertices(run);
  const planKey = run.planKey ?? (building ? undefined : (await deps.ledger.readRun(run))?.planKey);
  const plan = planKey ? await deps.readPlan(planKey) : null;
  const { policy, executionQueue } = run.settings;
  const decision = step({
    plan,
    rows,
    tasks,
    policy,
    maxTasks: executionQueue.maxTasks,
    stopReason: stop,
    heldSinceMs: run.heldSinceMs ?? null,
    nowMs: deps.nowMs(),
  });
  const taken = await carryOut(run, decision, { tasks, rows }, deps);
  if (plan) await startConsumers(run, consumersDue(plan, rows, policy.testBehavior), deps);
  deps.seen.set(run.runId, signature);
  // After the consumers: once the run is ready, no turn looks at them again.
  const ready = taken && decision.settle && (await deps.ledger.markReady(run, run.version, deps.nowMs()));
  return ready ? "settle" : "waiting";
}

/** The tasks as they are now: half-finished launches are finished first, then ECS is asked where nothing else tells. */
async function presentTasks(run: RunRow, stop: string | null, deps: CheckRunDeps): Promise<TaskRow[]> {
  const tasks = await deps.ledger.readTasks(run);
  const finished = stop === null && (await finishLaunches(run, tasks, deps));
  const observed = await observeTasks(run, finished ? await deps.ledger.readTasks(run) : tasks, deps);
  return observed || finished ? await deps.ledger.readTasks(run) : tasks;
}

/** False: the run's version moved on, so somebody else decided: nothing more is done with this decision. */
async function carryOut(
  run: RunRow,
  decision: Decision,
  { tasks, rows }: { readonly tasks: readonly TaskRow[]; readonly rows: readonly VertexRow[] },
  deps: CheckRunDeps,
): Promise<boolean> {
  if (decision.stopTasks) await stopTasks(run, tasks, deps);
  let version = run.version;
  for (const launch of decision.launches) {
    const task = run.lastTask + 1 + version - run.version;
    if (!(await claimTask(run, version, task, launch, deps))) return false;
    version += 1;
  }
  const producer = currentProducer(tasks)?.task ?? 1;
  const ownerOf = new Map(rows.map((row) => [row.uniqueId, row.ownerTask]));
  await eachLimited(decision.finals, CONSUMERS_AT_ONCE, (final) =>
    deps.ledger.setFinal(run, ownerOf.get(final.uniqueId) ?? producer, final),
  );
  if (!decision.settle && decision.heldSinceMs !== (run.heldSinceMs ?? null)) {
    return await deps.ledger.setHeldSince(run, version, decision.heldSinceMs);
  }
  return true;
}

async function startConsumers(run: RunRow, due: ReturnType<typeof consumersDue>, deps: CheckRunDeps): Promise<void> {
  await eachLimited(due, CONSUMERS_AT_ONCE, async ({ uniqueId, part }) => {
    const consumer: ConsumerReference = {
      contract: CONTRACT,
      project: run.project,
      runId: run.runId,
      round: run.round,
      uniqueId,
      part,
    };
    await deps.executions.start(deps.consumerMachineArn, consumerName(run, uniqueId, part), consumer);
    await deps.ledger.markConsumerStarted(run, uniqueId, part, deps.nowMs());
  });
}
