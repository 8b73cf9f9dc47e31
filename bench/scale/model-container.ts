import type { Artefacts } from "#clients/artefacts.ts";
import type { Ledger, RunKey } from "#clients/ledger.ts";
import type { TaskRow } from "#core/contracts/ledger.ts";
import { taskSetSchema } from "#core/contracts/task-set.ts";
import { artefactKeys } from "#core/names.ts";
import { hasConsumer, type Plan } from "#core/run/planning/plan.ts";
import { buildEnd } from "../../test/support/ledger-rows.ts";
import type { ScaleProject } from "./project.ts";
import { type ScriptedWord, scriptedBuild } from "./scripted-build.ts";
import type { TimeLine } from "./time-line.ts";

export interface ContainerDeps {
  readonly ledger: Ledger;
  readonly artefacts: Pick<Artefacts, "putJson" | "getJson">;
  readonly time: TimeLine;
  readonly project: ScaleProject;
  readonly plan: Plan;
  readonly threads: number;
  /** Its vCPUs are free again. */
  readonly onEnd: () => void;
}

/** dbt's own start and parse, and the end of its process after the last word. Milliseconds. */
const DBT_START_MS = 6_000;
const DBT_END_MS = 1_000;

/** A start that ends so soon is one write with its end (containers/dbt-runner/vertex-words). Milliseconds. */
const JOINED_MS = { model: 200, test: 700 } as const;

/** A beat follows what was written within this time (containers/dbt-runner/heartbeat). Milliseconds. */
const BEAT_MS = 1_000;

/** A container of the virtual clock: fence, plan, build, statuses and beats in the order and number of the real one. */
export async function runContainer(key: RunKey, number: number, taskArn: string, deps: ContainerDeps): Promise<void> {
  const { ledger, time } = deps;
  if (!(await ledger.passFence(key, number, { taskArn, startedAtMs: time.nowMs }))) return deps.onEnd();
  const run = (await ledger.readRun(key))!;
  const task = (await ledger.readTask(key, number))!;
  if (task.kind === "producer") await publishPlan(key, number, deps);
  const build = scriptedBuild(deps.project, deps.plan, await selectionOf(task, deps), deps.threads);
  const beganAtMs = time.nowMs + DBT_START_MS;
  const writes = writesOf(build.words, deps);
  let sequence = 0;
  for (const word of writes)
    time.at(beganAtMs + word.atMs, async () => {
      sequence += 1;
      await write(key, number, word, deps);
    });
  const endsAtMs = beganAtMs + build.endsAtMs + DBT_END_MS;
  const everyMs = run.settings.policy.heartbeatSeconds * 1000;
  beat(key, number, { taskArn, everyMs, endsAtMs, sequence: () => sequence }, deps);
  time.at(endsAtMs, async () => {
    const cause = build.red
      ? { kind: "node" as const, sentence: "Nodes failed.", lines: [] }
      : { kind: "none" as const, sentence: "Every vertex is good.", lines: [] };
    const end = buildEnd({ endedAtMs: time.nowMs, exitCode: build.red ? 1 : 0, cause, dbtMs: endsAtMs - beganAtMs });
    await ledger.endTask(key, number, taskArn, end, sequence);
    deps.onEnd();
  });
}

async function publishPlan(key: RunKey, number: number, { ledger, artefacts, plan }: ContainerDeps): Promise<void> {
  const planKey = artefactKeys.plan(key.project, key.runId, number);
  await artefacts.putJson(planKey, plan);
  const plannedNodes = plan.vertices.filter(hasConsumer).length;
  await ledger.setPlan(key, { planKey, plannedVertices: plan.vertices.length, plannedNodes });
}

async function selectionOf(task: TaskRow, { artefacts, plan }: ContainerDeps): Promise<ReadonlySet<string>> {
  if (task.setKey === undefined) return new Set(plan.vertices.map(({ uniqueId }) => uniqueId));
  return new Set(taskSetSchema.parse(await artefacts.getJson(task.setKey)).uniqueIds);
}

/** The words that are written: a start that its end soon follows is none. */
function writesOf(words: readonly ScriptedWord[], { project }: ContainerDeps): ScriptedWord[] {
  const types = new Map(project.vertices.map(({ uniqueId, type }) => [uniqueId, type]));
  const ends = new Map(words.filter(({ status }) => status !== "started").map((word) => [word.uniqueId, word.atMs]));
  const isWritten = ({ uniqueId, atMs, status }: ScriptedWord) =>
    status !== "started" || ends.get(uniqueId)! - atMs >= JOINED_MS[types.get(uniqueId)!];
  return words.filter(isWritten);
}

async function write(key: RunKey, task: number, word: ScriptedWord, { ledger, time, project }: ContainerDeps) {
  const { uniqueId, status, message } = word;
  const [, , name] = uniqueId.split(".");
  const isEnd = status !== "started";
  await ledger.writeVertex(key, task, {
    uniqueId,
    resourceType: uniqueId.split(".")[0]!,
    status,
    evidence: status !== "skipped",
    message: message ?? (isEnd ? "SELECT 42" : undefined),
    relation: `"dw"."${project.shape.failing}"."${name}"`,
    executionSeconds: isEnd ? 1.25 : undefined,
    ...(isEnd ? { endedAtMs: time.nowMs } : { startedAtMs: time.nowMs }),
  });
}

interface Beats {
  readonly taskArn: string;
  readonly everyMs: number;
  readonly endsAtMs: number;
  readonly sequence: () => number;
}

function beat(key: RunKey, number: number, { taskArn, everyMs, endsAtMs, sequence }: Beats, deps: ContainerDeps): void {
  const { ledger, time } = deps;
  let last = { atMs: Number.NEGATIVE_INFINITY, sequence: -1 };
  const look = async () => {
    if (time.nowMs >= endsAtMs) return;
    if (sequence() !== last.sequence || time.nowMs - last.atMs >= everyMs) {
      last = { atMs: time.nowMs, sequence: sequence() };
      await ledger.heartbeat(key, number, {
        taskArn,
        atMs: time.nowMs,
        sequence: last.sequence,
        invocationId: "scale",
        dbtVersion: "1.11.16",
      });
      await ledger.readRun(key);
      await ledger.readLock(key.project, "default");
    }
    time.in(BEAT_MS, look);
  };
  time.in(0, look);
}
