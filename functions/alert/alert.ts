import type { Artefacts } from "#clients/artefacts.ts";
import type { Ledger } from "#clients/ledger.ts";
import type { AlertChannel, AlertKind, AlertRow } from "#core/contracts/alerts.ts";
import type { RunEndedDetail, WarningDetail } from "#core/contracts/events.ts";
import type { RunRow } from "#core/contracts/ledger.ts";
import { labelOf } from "#core/contracts/run-command.ts";
import { type RowSample, rowSamplesSchema } from "#core/dbt/failing-rows.ts";
import { ObjectTooLarge } from "#core/errors.ts";
import { artefactKeys, ownLockKey, stackOption } from "#core/names.ts";
import type { Alert } from "#core/run/alerts/alert.ts";
import { type AlertedRun, causeOf, type DueAlert, dueAlerts } from "#core/run/alerts/due-alerts.ts";
import { ownerIn } from "#core/run/events/event-facts.ts";
import type { NodeFacts } from "#core/run/planning/node-facts.ts";
import type { RunSummary } from "#core/run/reporting/summary.ts";

/** Sends one alert in the form of its channel. */
export type Send = (alert: Alert) => Promise<void>;

export interface AlertDeps {
  readonly ledger: Pick<Ledger, "readRun" | "readTasks" | "readSomeVertices" | "listAlerts" | "putAlert">;
  readonly artefacts: Pick<Artefacts, "getJson">;
  readonly readFacts: (planKey: string) => Promise<NodeFacts | null>;
  readonly channels: Partial<Readonly<Record<AlertChannel, Send>>>;
  readonly on: readonly AlertKind[];
  readonly repeatHours: number;
  readonly nowMs: () => number;
  readonly warn: (sentence: string) => void;
}

/** An event of ours that alerts are made of. */
export type AlertedEvent =
  | { readonly "detail-type": "Run ended"; readonly detail: RunEndedDetail }
  | { readonly "detail-type": "Warning"; readonly detail: WarningDetail };

/** Messages of one run to one channel; what is beyond them is told in one more. */
const MOST_MESSAGES = 10;

const MOST_SUMMARY_BYTES = 200 * 1024 * 1024;

/**
 * Tells people of a run that has ended, or of a warning. Each channel by itself: one that does not answer keeps none of
 * the others from its message, and is what the call fails by, so that Lambda's queue repeats it. What a channel has taken
 * is noted at once, and a repeated call goes on after it.
 */
export async function alert(event: AlertedEvent, deps: AlertDeps): Promise<void> {
  const run = await deps.ledger.readRun(event.detail);
  if (run === null) return deps.warn(`Nobody was told of run ${event.detail.runId}: its rows are gone.`);
  const failures: unknown[] = [];
  const made =
    event["detail-type"] === "Run ended" ? await ofRun(run, event.detail, deps) : ofWarning(run, event.detail, deps);
  for (const [channel, send] of Object.entries(deps.channels) as [AlertChannel, Send][]) {
    try {
      await made(channel, send);
    } catch (error) {
      failures.push(error);
      deps.warn(`${channel} was not told of run ${run.runId} (${String(error)}).`);
    }
  }
  if (failures.length > 0) throw failures[0];
}

type Tell = (channel: AlertChannel, send: Send) => Promise<void>;

async function ofRun(run: RunRow, detail: RunEndedDetail, deps: AlertDeps): Promise<Tell> {
  const ended = await endedRun(run, detail, deps);
  const facts = run.planKey === undefined ? null : await deps.readFacts(run.planKey);
  return async (channel, send) => {
    const told = await deps.ledger.listAlerts(run.project, newsKey(run), channel);
    const all = dueAlerts(ended, told, deps, deps.nowMs());
    for (const one of all) if (!one.isTold) await note(run, channel, one, deps);
    const due = all.filter(({ isTold }) => isTold);
    if (due.length === 0) return;
    const isTooMuch = due.length > MOST_MESSAGES;
    const single = isTooMuch ? due.slice(0, MOST_MESSAGES - 1) : due;
    const rest = due.slice(single.length);
    const found = await foundBy(run, single, deps);
    for (const one of single) {
      await send(alertOf(run, detail, one, facts, found));
      await note(run, channel, one, deps);
    }
    if (rest.length === 0) return;
    await send(restOf(run, detail, rest));
    for (const one of rest) await note(run, channel, one, deps);
  };
}

/** Runs of one lock have news of the same things. Of a job whose runs wait for nobody each has a lock of its own. */
const newsKey = ({ runId, lockKey, input, settings }: RunRow): string =>
  lockKey === ownLockKey(runId) ? ownLockKey(labelOf(input, settings) ?? "") : lockKey;

const note = (run: RunRow, channel: AlertChannel, { row }: DueAlert, { ledger }: AlertDeps): Promise<void> =>
  ledger.putAlert(run.project, { ...row, lockKey: newsKey(run), channel });

/** The run as its summary tells it; without one as the event does, which names the first causes alone. */
async function endedRun(run: RunRow, detail: RunEndedDetail, { artefacts }: AlertDeps): Promise<AlertedRun> {
  const { runId, state, verdict, endedAt, summaryKey } = detail;
  const head = { runId, state, verdict, endedAtMs: Date.parse(endedAt), label: labelOf(run.input, run.settings) };
  const summary = summaryKey === null ? null : await summaryIn(summaryKey, artefacts);
  if (summary !== null) {
    const { causes, nodes, tests, others } = summary;
    return { ...head, causes, nodes, tests, others };
  }
  const causes = detail.causes.map(({ uniqueId, sentence, gates }) => ({
    kind: uniqueId === null ? ("run" as const) : ("vertex" as const),
    ...(uniqueId !== null && { uniqueId }),
    sentence,
    gates,
    lines: [],
  }));
  return { ...head, causes, nodes: [], tests: [], others: [] };
}

async function summaryIn(key: string, artefacts: AlertDeps["artefacts"]): Promise<RunSummary | null> {
  try {
    return (await artefacts.getJson(key, MOST_SUMMARY_BYTES)) as RunSummary | null;
  } catch (error) {
    if (error instanceof ObjectTooLarge) return null;
    throw error;
  }
}

/** What a failed test has found. */
interface Found {
  readonly failures: number | null;
  readonly relation: string | null;
  readonly rows: RowSample | null;
}

/** What failed tests have found, by their rows and by the samples that their tasks have kept. */
async function foundBy(run: RunRow, due: readonly DueAlert[], deps: AlertDeps): Promise<Map<string, Found>> {
  const ids = due.flatMap(({ kind, uniqueId }) => (kind === "failed" && uniqueId !== null ? [uniqueId] : []));
  if (ids.length === 0) return new Map();
  const tasks = await deps.ledger.readTasks(run);
  const rows = await deps.ledger.readSomeVertices(run, ids);
  const samples = new Map<number, Promise<Readonly<Record<string, RowSample>>>>();
  const samplesOf = (task: number) => {
    const isOlder = tasks.find((one) => one.task === task)?.round === 0;
    const known = samples.get(task) ?? samplesIn(isOlder ? (run.resumed ?? run.runId) : run.runId, task, run, deps);
    samples.set(task, known);
    return known;
  };
  const found = await Promise.all(
    rows.map(async ({ uniqueId, status, statusTask, failures = null, relation = null, resourceType }) => {
      const isTest = resourceType === "test" || uniqueId.startsWith("test.");
      const hasRows = isTest && status === "fail" && relation !== null && statusTask !== undefined;
      const sample = hasRows ? ((await samplesOf(statusTask))[uniqueId] ?? null) : null;
      return [uniqueId, { failures, relation: isTest ? relation : null, rows: sample }] as const;
    }),
  );
  return new Map(found);
}

async function samplesIn(
  runId: string,
  task: number,
  { project }: RunRow,
  { artefacts }: AlertDeps,
): Promise<Readonly<Record<string, RowSample>>> {
  const read = rowSamplesSchema.safeParse(
    await artefacts.getJson(artefactKeys.task(project, runId, task, "failing_rows.json")),
  );
  return read.data ?? {};
}

function alertOf(
  run: RunRow,
  { runUrl }: RunEndedDetail,
  due: DueAlert,
  facts: NodeFacts | null,
  found: ReadonlyMap<string, Found>,
): Alert {
  const { kind, again, uniqueId, words, gates, sinceMs } = due;
  const nothing = { failures: null, relation: null, rows: null };
  return {
    ...{ kind, again, project: run.project, runId: run.runId, uniqueId, words, gates },
    owner: uniqueId === null ? null : ownerIn(facts, uniqueId),
    ...(found.get(uniqueId ?? "") ?? nothing),
    since: sinceMs === null ? null : new Date(sinceMs).toISOString(),
    commands: kind === "recovered" ? [] : commandsOf(run),
    url: runUrl,
  };
}

function commandsOf({ runId, executionArn }: RunRow): string[] {
  const option = stackOption(executionArn);
  return [`npx stepwatch why ${runId}${option}`, `npx stepwatch retry ${runId}${option}`];
}

/** More than people read one by one. */
function restOf(run: RunRow, { runUrl }: RunEndedDetail, rest: readonly DueAlert[]): Alert {
  const named = rest.slice(0, 20).map(({ kind, uniqueId, words }) => `${kind}: ${uniqueId ?? words.split("\n")[0]}`);
  const more = rest.length > named.length ? [`… and ${rest.length - named.length} more`] : [];
  const kind = rest.some((one) => one.kind === "failed") ? "failed" : "recovered";
  return {
    ...{ kind, again: false, project: run.project, runId: run.runId, uniqueId: null, owner: null, gates: 0 },
    ...{ failures: null, relation: null, rows: null, since: null, url: runUrl },
    words: [`And ${rest.length} more:`, ...named, ...more].join("\n"),
    commands: commandsOf(run),
  };
}

/** A warning is told when it is new, says something else, or was told long ago; nobody is told that it is gone. */
function ofWarning(run: RunRow, detail: WarningDetail, deps: AlertDeps): Tell {
  const { sentence, uniqueId, failures, relation } = detail;
  const cause = causeOf(sentence);
  const about = `run warning ${uniqueId ?? cause}`;
  return async (channel, send) => {
    if (!deps.on.includes("warned")) return;
    const told = await deps.ledger.listAlerts(run.project, newsKey(run), channel);
    const before = told.find((row) => row.about === about);
    const nowMs = deps.nowMs();
    if (before?.cause === cause && nowMs - before.toldAtMs < deps.repeatHours * 3_600_000) return;
    await send({
      ...{ kind: "warned", again: false, project: run.project, runId: run.runId, uniqueId, words: sentence },
      ...{ owner: detail.owner ?? null, gates: 0, failures, relation, rows: null, since: null },
      commands: commandsOf(run).slice(0, 1),
      url: detail.runUrl ?? null,
    });
    const row: AlertRow = {
      ...{ about, cause, lockKey: newsKey(run), channel, state: "good", runId: run.runId },
      ...{ endedAtMs: nowMs, sinceMs: before?.sinceMs ?? nowMs, toldAtMs: nowMs },
    };
    await deps.ledger.putAlert(run.project, row);
  };
}
