import { z } from "zod";

/**
 * What each command answers with `--json`, contract 1, as published in schemas/: fields may be added and none is taken
 * away, so that an object may have more than is said here. The commands' tests hold what they print against these.
 */
const contract = z.literal(1);
const text = z.string();
const maybe = text.nullable();
const count = z.int().min(0);
const time = z.iso.datetime();
const maybeTime = time.nullable();
const ids = z.array(text);
const object = z.looseObject;

const runStates = z.enum(["running", "green", "red", "skipped", "stopped"]);
const reportClass = z.enum(["good", "failed", "interrupted", "not_built", "skipped", "doomed", "running", "waiting"]);
const outcome = z.enum(["green", "red", "skipped"]).nullable();
const pause = object({ by: text, since: time, reason: text }).nullable();

const vertex = object({
  uniqueId: text,
  resourceType: text,
  status: maybe,
  class: reportClass,
  tries: count,
  startedAt: maybeTime,
  finishedAt: maybeTime,
  message: maybe,
  rootCause: maybe,
  reason: maybe,
  failures: count.nullable(),
  relation: maybe,
});

const node = vertex.extend({
  outcome,
  testsOutcome: outcome,
  tests: z.array(object({ uniqueId: text, status: maybe, class: reportClass })),
  batches: z.array(object({ name: text, status: text })),
});

const task = object({
  task: z.int(),
  kind: text,
  reason: text,
  state: text,
  size: text,
  vertices: count.nullable(),
  startedAt: maybeTime,
  finishedAt: maybeTime,
  exitCode: z.int().nullable(),
  end: maybe,
  dbtMs: z.number().nullable(),
  dbtVersion: maybe,
  taskArn: maybe,
});

const drift = object({
  filled: ids,
  contradictions: z.array(object({ uniqueId: text, log: text, file: text, knownReason: maybe })),
});

const summary = object({
  contract,
  project: text,
  runId: text,
  round: z.int().min(1),
  executionArn: text,
  state: runStates,
  verdict: maybe,
  stop: object({ requestedAt: time, by: maybe, reason: text, afterCurrent: z.boolean() }).nullable(),
  causes: z.array(object({ kind: z.enum(["vertex", "run"]), sentence: text, lines: ids, gates: count })),
  counts: object(Object.fromEntries(reportClass.options.map((name) => [name, count]))),
  reused: count,
  savedMs: z.number().min(0).nullable(),
  timings: object({
    startedAt: time,
    finishedAt: maybeTime,
    wallMs: z.number(),
    dbtMs: z.number(),
    tailMs: z.number().nullable(),
  }),
  tasks: z.array(task),
  nodes: z.array(node),
  tests: z.array(vertex),
  others: z.array(vertex),
  unplanned: ids,
  warnings: ids,
  drift,
});

const run = { contract, project: text, runId: text };
const started = object({ ...run, executionArn: text, state: z.literal("started") });
const skipped = object({ ...run, executionArn: text, state: z.literal("skipped"), verdict: text });
const next = z.array(object({ command: text, does: text }));
const some = object({ count, first: ids });

const why = object({
  ...run,
  round: z.int().min(1),
  state: runStates,
  verdict: maybe,
  node: object({}).nullable(),
  roots: z.array(
    object({
      uniqueId: maybe,
      resourceType: maybe,
      status: maybe,
      message: maybe,
      lines: ids,
      decision: maybe,
      advice: maybe,
      tried: z.array(object({ task: z.int(), kind: text, status: maybe, goesOn: z.boolean() })),
      notBuilt: some,
      needsForce: z.boolean(),
    }),
  ),
  tables: z.record(text, some),
  retry: object({ builds: count, keeps: count }).nullable(),
  live: object({}).nullable(),
  endedWithoutVerdict: maybe,
  next,
});

const whyWaiting = object({ ...run, state: z.literal("waiting"), queue: object({}), next });

const resources = { stackName: text, table: text, bucket: text, runMachineArn: text, consumerMachineArn: text };

const finding = object({
  area: z.enum(["machine", "project", "account"]),
  check: text,
  state: z.enum(["ok", "none", "unknown", "warning", "problem"]),
  sentence: text,
  remedy: maybe,
});

const error = object({ error: object({ message: text, exitCode: z.int(), next: maybe }) });

/** By command: one of these values, and `error` where it fails. What prints no JSON of its own making is not here (`policy`). */
const ANSWERS = {
  init: [
    object({
      contract,
      folder: text,
      projects: z.array(
        object({ name: text, projectDir: text, profile: text, target: maybe, adapter: text, packages: ids }),
      ),
      files: z.array(object({ file: text, done: z.enum(["written", "completed", "kept"]) })),
      notes: ids,
      next: text,
    }),
  ],
  doctor: [object({ contract, version: text, healthy: z.boolean(), findings: z.array(finding) })],
  local: [object({ contract, running: z.boolean(), stateDir: text })],
  deploy: [
    object({ contract, place: z.enum(["embedded", "endpoint"]), changed: z.boolean(), ...resources }),
    object({ contract, place: z.literal("aws"), changed: z.literal(false), stackName: text, command: text }),
  ],
  run: [summary, started, skipped],
  dbt: [summary.extend({ exitCode: z.int().nullable(), output: maybe }), started, skipped],
  docs: [object({ contract, project: text, folder: text, files: ids })],
  plan: [
    object({
      contract,
      project: text,
      vertices: z.array(
        object({
          uniqueId: text,
          resourceType: text,
          level: z.int().min(1),
          startsMs: z.number(),
          takesMs: z.number(),
          isKnown: z.boolean(),
        }),
      ),
      widths: z.array(count),
      buildMs: z.number().nullable(),
      longestMs: z.number().nullable(),
      wallMs: z.number().nullable(),
      unknown: count,
      threads: z.int().min(1),
      threadsFrom: z.enum(["options", "last green run", "unknown"]),
      timesOf: maybe,
      cost: object({}).nullable(),
      limits: z.array(object({ name: text, needs: z.number(), has: z.number(), fits: z.boolean() })),
      warnings: ids,
    }),
  ],
  runs: [
    object({
      contract,
      project: text,
      paused: pause,
      runs: z.array(
        object({
          runId: text,
          state: runStates,
          verdict: maybe,
          startedAt: time,
          finishedAt: maybeTime,
          executionArn: text,
        }),
      ),
      hands: z.array(object({ at: time, by: text, action: text, reason: text, sentence: text })),
    }),
  ],
  status: [summary.extend({ paused: pause, endedWithoutVerdict: text.optional() })],
  why: [why, whyWaiting],
  stop: [summary, object({ ...run, state: z.enum(["stopping", "stopped"]) })],
  retry: [summary, skipped, object({ ...run, executionArn: text, state: z.enum(["started", "requested"]) })],
  mark: [object({ ...run, as: maybe, uniqueIds: ids })],
  tasks: [object({ ...run, tasks: z.array(task) })],
  logs: [
    object({
      ...run,
      node: maybe,
      tasks: z.array(
        object({
          task: z.int(),
          kind: text,
          logGroup: text,
          logStream: maybe,
          lines: z.array(object({ at: time, text })),
        }),
      ),
    }),
  ],
  history: [
    object({
      contract,
      project: text,
      node: maybe,
      runs: z.array(object({ runId: text, state: text, startedAt: time, tookMs: z.number().nullable() })),
    }),
  ],
  backfill: [
    object({
      contract,
      backfill: text,
      project: text,
      by: text,
      state: z.enum(["running", "green", "red", "stopped"]),
      windows: z.array(
        object({
          window: text,
          scheduledTime: time,
          state: z.enum(["waiting", "running", "green", "red", "stopped", "not built"]),
          runId: maybe,
          verdict: maybe,
        }),
      ),
    }),
    object({ contract, project: text, backfills: ids }),
  ],
  unlock: [object({ contract, project: text, unlocked: z.boolean() })],
  pause: [object({ contract, project: text, changed: z.boolean(), paused: pause })],
  resume: [object({ contract, project: text, changed: z.boolean(), paused: pause })],
  image: [object({ contract, project: text, changed: z.boolean() })],
  replay: [
    object({ contract, dbtVersion: maybe, inOrder: z.boolean(), nodes: z.array(object({ uniqueId: text })), drift }),
  ],
} as const;

/** The schema of what a command answers; null of one whose answer is not published. */
export function answerSchema(command: string): z.ZodType | null {
  const values = Object.hasOwn(ANSWERS, command) ? ANSWERS[command as keyof typeof ANSWERS] : null;
  return values === null ? null : z.union([...values, error]);
}

export const ANSWERING_COMMANDS = Object.keys(ANSWERS);
