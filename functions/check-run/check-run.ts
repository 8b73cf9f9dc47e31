import type { Executions } from "#clients/executions.ts";
import type { RunRow, TaskRow, VertexRow } from "#core/contracts/ledger.ts";
import type { CheckRunPayload, RunReference } from "#core/contracts/payloads.ts";
import { RowMissing } from "#core/errors.ts";
import { eachLimited } from "#core/limit.ts";
import type { Decision, StepInput } from "#core/run/deciding/decision.ts";
import { step } from "#core/run/deciding/step.ts";
import { roundOf } from "#core/run/judging/rounds.ts";
import { stepsOf } from "#core/run/judging/run-steps.ts";
import { currentProducer, isOver } from "#core/run/judging/vertex-view.ts";
import type { Plan } from "#core/run/planning/plan.ts";
import { wasTaken } from "#core/run/watching/capacity.ts";
import { consumersDue } from "#core/run/watching/consumer.ts";
import { nextLook, otherWait, toTheMoment } from "#core/run/watching/next-look.ts";
import { hasTurnsToSpare } from "#core/run/watching/spent-turns.ts";
import { type StopOrder, stopOrder, stoppedAtMs } from "#core/run/watching/stop-reason.ts";
import { signatureOf } from "#core/run/watching/task-watch.ts";
import { answerConsumers } from "../answer-consumers.ts";
import { startConsumers } from "../start-consumers.ts";
import { acceptedPlan } from "./accept-plan.ts";
import { claimTask, closeUnlaunched, finishLaunches, type LaunchDeps, observeTasks, stopTasks } from "./launches.ts";
import { type TellDeps, tellOverdue } from "./tell-overdue.ts";
import { tellQuiet } from "./tell-quiet.ts";

/** What carrying out a decision on a run needs. */
export interface DecideDeps extends LaunchDeps, TellDeps {
  readonly executions: Pick<Executions, "start" | "succeed" | "fail">;
  readonly readPlan: (planKey: string) => Promise<Plan | null>;
  readonly consumerMachineArn: string;
}

export interface CheckRunDeps extends DecideDeps {
  /** What a warm function saw last, by run: a turn in which nothing moved reads no vertices. Loss costs one read. */
  readonly seen: Map<string, LastLook>;
}

interface LastLook {
  readonly signature: string;
  readonly atMs: number;
  /** By then time alone may decide something. Milliseconds. */
  readonly untilMs: number;
}

/** Writes of last words at once. */
const FINALS_AT_ONCE = 10;

/** A turn that launched something, or whose decision came too late, is followed by one that sees what came of it. Seconds. */
const SOON_SECONDS = 1;

/** How a check's turn ends: the verdict can be given; its state waits on; or it waits for another time than it does. */
export type CheckAnswer =
  | "settle"
  | "waiting"
  /** `afterMs`: said so much later, since a state waits whole seconds. Milliseconds. */
  | { readonly waitSeconds: number; readonly afterMs?: number };

/** How the state waits, with `watch: wake`. */
export interface CheckWait {
  readonly taskToken: string;
  readonly waitSeconds: number;
  readonly netSeconds: number;
  readonly averageSeconds: number;
  /** When the check began. Milliseconds. */
  readonly beganAtMs: number;
}

/** One turn by its payload: the answer of its token, or null: the state waits on. */
export async function checkTurn(
  { taskToken, run, waits }: CheckRunPayload,
  deps: CheckRunDeps & { readonly pause: (ms: number) => Promise<unknown> },
): Promise<RunReference | null> {
  const { waitSeconds = waits?.netSeconds ?? 0 } = run;
  const wait = waits === undefined ? null : { taskToken, waitSeconds, ...waits, beganAtMs: deps.nowMs() };
  const answer = await checkRun(run, deps, wait);
  if (answer === "waiting") return null;
  // What it could not go on with before is over: the state data say it no more.
  const { error: _, ...goesOn } = run;
  if (answer === "settle") return { ...goesOn, next: "settle" };
  if (answer.afterMs !== undefined) await deps.pause(answer.afterMs);
  return { ...goesOn, next: "check", waitSeconds: answer.waitSeconds };
}

/**
 * The answer came too late: its state had waited as long as it does, and a later turn has begun, as short as this one.
 * That turn is told instead, or turns would follow each other, and check beside each other, for as long as a check takes
 * more than its wait.
 */
export async function tellLaterTurn(
  { taskToken, run }: Pick<CheckRunPayload, "taskToken" | "run">,
  answer: RunReference,
  { ledger, executions }: Pick<CheckRunDeps, "ledger" | "executions">,
): Promise<void> {
  if (answer.waitSeconds === undefined) return;
  const now = await ledger.readRun(run);
  if (now?.state !== "running" || now.wait?.waitSeconds === undefined || now.wait.token === taskToken) return;
  if (now.wait.waitSeconds < answer.waitSeconds) await executions.succeed(now.wait.token, answer);
}

/**
 * Last words that one turn writes, in gate order. Each is one or two calls of a millisecond of CPU: 5,000 are ten seconds
 * at most, where a root failing under 70,000 vertices would be two minutes, the function's own time. The next turn finds
 * what is left by the same rule.
 */
const WORDS_A_TURN = 5_000;

/**
 * One turn of the run's loop, the only place where a run is decided: learns what became of its tasks, applies the step
 * under the run's version, launches, starts consumers. Any number of these may run at once or die anywhere: a decision
 * that lost the version is dropped, and a task that is found half launched is finished under the same number.
 * @param wait how the state waits, where it can be woken; without it, it polls
 * @throws RowMissing
 */
export async function checkRun(
  reference: RunReference,
  deps: CheckRunDeps,
  wait: CheckWait | null = null,
): Promise<CheckAnswer> {
  if (reference.skipped !== undefined) return "settle";
  // Before anything is read: what comes after this look wakes by that token, what came before is seen by it.
  if (wait) {
    const { taskToken: token, averageSeconds, waitSeconds } = wait;
    await deps.ledger.keepRunWait(reference, { token, averageSeconds, waitSeconds });
  }
  const run = await deps.ledger.readRun(reference);
  if (!run) throw new RowMissing(`The ledger has no run ${reference.runId} of project ${reference.project}.`);
  if (run.state !== "running" || run.readyAtMs !== undefined) return "settle";
  const stop = stopOrder(run, deps.nowMs());
  const tasks = await presentTasks(run, stop, deps);
  await tellQuiet(run, tasks, deps);
  const signature = `${signatureOf(tasks, run.planKey)} ${run.marks ?? 0}${stop === null ? "" : " stop"}`;
  const last = deps.seen.get(run.runId);
  // A failure that woke it moves no task yet, nor does what a fallback has made good; both are decided about at once.
  const hasFallbacks = tasks.some(({ kind, state }) => kind === "fallback" && state === "running");
  const mayHaveMoved = wait !== null && (run.settings.policy.recovery === "early" || hasFallbacks);
  const isAlike = stop?.afterCurrent !== false && !mayHaveMoved && last?.signature === signature;
  const isSeen = isAlike && stillHolds(last, tasks, deps.nowMs());
  const decided = isSeen ? { answer: "waiting" as const, asked: null } : await decideRun(run, tasks, stop, deps);
  if (decided.answer === "settle") return "settle";
  return nextWait({ run, tasks, signature, decided, seen: isSeen ? last : null }, wait, deps);
}

/** How old the last look at the vertices may be where no producer builds: a person's mark moves no task. Milliseconds. */
const LOOK_LASTS_MS = 3_000;

/** Nothing has moved since the last look, and what time alone decides is still to come. */
function stillHolds(last: LastLook, tasks: readonly TaskRow[], nowMs: number): boolean {
  if (nowMs >= last.untilMs) return false;
  const producer = currentProducer(tasks);
  return (producer !== null && !isOver(producer)) || nowMs < last.atMs + LOOK_LASTS_MS;
}

interface Turn {
  readonly run: RunRow;
  readonly tasks: readonly TaskRow[];
  readonly signature: string;
  readonly decided: Decided;
  /** Set where the vertices were not read again. */
  readonly seen: LastLook | null;
}

/** How far ahead a check that polls looks for what time decides. Milliseconds. */
const HORIZON_MS = 15 * 60_000;

/** Remembers the look, and says for how long the state is to wait now. */
function nextWait(turn: Turn, wait: CheckWait | null, deps: CheckRunDeps): CheckAnswer {
  const { run, tasks, signature, decided, seen } = turn;
  const nowMs = deps.nowMs();
  if (decided.answer === "look again") {
    deps.seen.delete(run.runId);
    return wait === null ? "waiting" : soon(wait, run, nowMs);
  }
  const horizonMs = wait === null ? HORIZON_MS : wait.netSeconds * 1_000;
  const look = nextLook({ run, tasks, asked: decided.asked, nowMs, horizonMs });
  const untilMs = seen?.untilMs ?? Math.min(look.exactMs ?? Number.POSITIVE_INFINITY, nowMs + horizonMs);
  if (seen === null) deps.seen.set(run.runId, { signature, atMs: nowMs, untilMs });
  if (wait === null) return "waiting";
  const exactMs = Math.min(look.exactMs ?? Number.POSITIVE_INFINITY, untilMs);
  const present = { ...wait, leastSeconds: leastSeconds(wait, nowMs) };
  const seconds = otherWait({ ...look, exactMs }, present, run, nowMs);
  if (seconds === null) return "waiting";
  const turnEndsMs = wait.beganAtMs + wait.waitSeconds * 1_000;
  return toTheMoment({ seconds, exactMs }, { ...present, turnEndsMs }, nowMs);
}

/** Another look as soon as may be, at once where the check took long; the net's, where there are no turns to spare. */
function soon(wait: CheckWait, run: RunRow, nowMs: number): CheckAnswer {
  const { waitSeconds, netSeconds, averageSeconds } = wait;
  if (!hasTurnsToSpare(run, nowMs, averageSeconds))
    return waitSeconds < netSeconds ? { waitSeconds: netSeconds } : "waiting";
  const least = leastSeconds(wait, nowMs);
  return Math.max(waitSeconds, least) === SOON_SECONDS ? "waiting" : { waitSeconds: least };
}

/**
 * No state waits for less than twice what a check takes: its turn would be over before its answer, and the next one would
 * check beside it. Seconds.
 */
function leastSeconds({ beganAtMs, netSeconds }: CheckWait, nowMs: number): number {
  return Math.min(netSeconds, Math.max(SOON_SECONDS, Math.ceil((2 * (nowMs - beganAtMs)) / 1_000)));
}

export interface Decided {
  readonly answer: "waiting" | "look again" | "settle";
  /** What the step was asked; null where its answer has changed that. */
  readonly asked: StepInput | null;
}

/**
 * Applies the step to a run as it was read, under its version and round, and carries it out. With an order to stop
 * nothing is launched, whoever calls it. Tasks must have been read before (behaviour F12). `look again`: something was
 * launched, or somebody else decided.
 */
export async function decideRun(
  run: RunRow,
  tasks: readonly TaskRow[],
  stop: StopOrder | null,
  deps: DecideDeps,
): Promise<Decided> {
  const rows = await deps.ledger.readVertices(run);
  const planKey = run.planKey ?? (await acceptedPlan(run, tasks, stop, deps));
  const plan = planKey ? await deps.readPlan(planKey) : null;
  const { policy, executionQueue } = run.settings;
  const round = roundOf(run, plan);
  const asked: StepInput = {
    plan,
    rows,
    tasks,
    policy,
    maxTasks: executionQueue.maxTasks,
    stopReason: stop?.reason ?? null,
    heldSinceMs: run.heldSinceMs ?? null,
    nowMs: deps.nowMs(),
    round,
    notBeforeMs: run.notBeforeMs ?? null,
    steps: stepsOf(run),
  };
  const decision = step(asked);
  const finals = decision.finals.slice(0, WORDS_A_TURN);
  const taken = await carryOut(run, { ...decision, finals }, { tasks, rows, stop }, deps);
  const isWhole = finals.length === decision.finals.length;
  if (plan) {
    await startConsumers(run, consumersDue(plan, rows, policy.testBehavior, round, tasks), deps);
    await answerConsumers({ run, plan, rows, tasks }, deps);
    await tellOverdue(run, plan, rows, tasks, deps);
  }
  // After the consumers: once the run is ready, no turn looks at them again.
  const isReady = taken && isWhole && decision.settle;
  const ready = isReady && (await deps.ledger.markReady(run, run.version, readyAtMs(run, stop, deps)));
  if (ready) return { answer: "settle", asked: null };
  const moved = !taken || decision.launches.length + decision.finals.length > 0 || decision.settle;
  return moved ? { answer: "look again", asked: null } : { answer: "waiting", asked };
}

/** Not before the stop that was obeyed, although the clock of who asked for it may run ahead of ours. */
function readyAtMs(run: RunRow, stop: StopOrder | null, { nowMs }: DecideDeps): number {
  const askedAtMs = stop === null ? Number.POSITIVE_INFINITY : stoppedAtMs(run);
  return Number.isFinite(askedAtMs) ? Math.max(nowMs(), askedAtMs) : nowMs();
}

/**
 * The tasks as they are now: half-finished launches are finished first, or closed where nothing more is to be launched;
 * then ECS is asked where nothing else tells.
 */
async function presentTasks(run: RunRow, stop: StopOrder | null, deps: CheckRunDeps): Promise<TaskRow[]> {
  const tasks = await deps.ledger.readTasks(run);
  const unlaunched = stop === null ? finishLaunches : closeUnlaunched;
  const finished = await unlaunched(run, tasks, deps);
  const observed = await observeTasks(run, finished ? await deps.ledger.readTasks(run) : tasks, deps);
  return observed || finished ? await deps.ledger.readTasks(run) : tasks;
}

/** What a decision was made of. */
interface Seen {
  readonly tasks: readonly TaskRow[];
  readonly rows: readonly VertexRow[];
  readonly stop: StopOrder | null;
}

/** False: the run's version moved on, so somebody else decided: nothing more is done with this decision. */
async function carryOut(
  run: RunRow,
  decision: Decision,
  { tasks, rows, stop }: Seen,
  deps: DecideDeps,
): Promise<boolean> {
  if (decision.stopTasks && stop?.afterCurrent !== true) await stopTasks(run, tasks, deps);
  // Where the run has lost a container to Spot, what is built again goes without it, if it may.
  const onDemand = tasks.some(wasTaken);
  let version = run.version;
  for (const launch of decision.launches) {
    const task = run.lastTask + 1 + version - run.version;
    if (!(await claimTask(run, version, task, { ...launch, onDemand }, deps))) return false;
    version += 1;
  }
  const producer = currentProducer(tasks)?.task ?? 1;
  const ownerOf = new Map(rows.map((row) => [row.uniqueId, row.ownerTask]));
  await eachLimited(decision.finals, FINALS_AT_ONCE, (final) =>
    deps.ledger.setFinal(run, ownerOf.get(final.uniqueId) ?? producer, final),
  );
  if (!decision.settle && decision.heldSinceMs !== (run.heldSinceMs ?? null)) {
    return await deps.ledger.setHeldSince(run, version, decision.heldSinceMs);
  }
  return true;
}
