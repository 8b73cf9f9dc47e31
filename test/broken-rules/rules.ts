/** One rule of the product that is broken by hand: a text of a source and what stands there instead. */
export interface BrokenRule {
  /** What no longer holds. */
  readonly rule: string;
  readonly file: string;
  /** Stands exactly once in the file. */
  readonly text: string;
  readonly broken: string;
  /** Test files, or folders of them, that must go red. */
  readonly tests: readonly string[];
  /** Vitest project of the tests. */
  readonly project?: "fast" | "emulator";
  /** The simulated world must find a violation too. */
  readonly simulated?: boolean;
}

const RUN = ["test/core/run"];
const WORLD = ["test/scenarios/chaos.test.ts", "test/scenarios/crashes.test.ts"];
const LEDGER = { tests: ["test/clients/dynamo-ledger.emulator.test.ts"], project: "emulator" } as const;

/** What counts as good, failed or not built. */
const READING: readonly BrokenRule[] = [
  {
    rule: "dbt's word `skipped` counts as good",
    file: "core/dbt/status.ts",
    text: 'skipped: "not_built"',
    broken: 'skipped: "good"',
    tests: ["test/core/dbt"],
    simulated: true,
  },
  {
    rule: "a word that nobody knows counts as good",
    file: "core/dbt/status.ts",
    text: '?? "failed"',
    broken: '?? "good"',
    tests: ["test/core/dbt"],
  },
  {
    rule: "run_results.json is preferred over the log",
    file: "core/dbt/reconcile.ts",
    text: "if (vertex.class === null) {",
    broken: "if (vertex.class !== undefined) {",
    tests: ["test/core/dbt"],
  },
  {
    rule: "run_results.json of another invocation is taken",
    file: "core/dbt/reconcile.ts",
    text: " || file.invocationId !== options.invocationId",
    broken: "",
    tests: ["test/core/dbt"],
  },
  {
    rule: "run_results.json ends a vertex that never started",
    file: "core/dbt/reconcile.ts",
    text: 'return vertex.evidence && classOfStatus(result.status) !== "not_built";',
    broken: "return true;",
    tests: ["test/core/dbt"],
  },
  {
    rule: "what was started in a build that was cut short counts as failed",
    file: "core/run/judging/vertex-view.ts",
    text: 'return free ? "interrupted" : "running";',
    broken: 'return free ? "failed" : "running";',
    tests: RUN,
    simulated: true,
  },
  {
    rule: "a build that was cut short has said everything",
    file: "core/run/judging/vertex-view.ts",
    text: "if (!end?.inOrder || end.failFast) return false;",
    broken: "if (!end) return false;",
    tests: RUN,
    simulated: true,
  },
  {
    rule: "a test of a node that was built again after it still counts",
    file: "core/run/judging/vertex-view.ts",
    text: "gates.goodIn > row.statusTask",
    broken: "gates.goodIn < 0",
    tests: RUN,
  },
  {
    rule: "a vertex is free while its owner lives",
    file: "core/run/judging/vertex-view.ts",
    text: "owner === null ? row === null : isOver(owner);",
    broken: "owner === null ? row === null : true;",
    tests: RUN,
    simulated: true,
  },
  {
    rule: "a vertex without any result does not count against green",
    file: "core/run/reporting/verdict.ts",
    text: 'filter((view) => view.class !== "good" && view.class !== "skipped").length',
    broken: "filter(isFailure).length",
    tests: RUN,
  },
];

/** What the step launches, and when it is over. */
const DECIDING: readonly BrokenRule[] = [
  {
    rule: "one try more than allowed",
    file: "core/run/deciding/retry-rule.ts",
    text: "view.tries >= allowed",
    broken: "view.tries > allowed",
    tests: RUN,
    simulated: true,
  },
  {
    rule: "one loss more than allowed",
    file: "core/run/deciding/retry-rule.ts",
    text: "killed > policy.losses",
    broken: "killed > policy.losses + 1",
    tests: RUN,
  },
  {
    rule: "a container that was taken away counts as a loss",
    file: "core/run/deciding/retry-rule.ts",
    text: "const killed = view.lost - view.taken;",
    broken: "const killed = view.lost;",
    tests: RUN,
  },
  {
    rule: "what ran in a container that was taken away is built again one by one",
    file: "core/run/deciding/failed-together.ts",
    text: 'if (cls === "interrupted" && view.taken > 0 && view.lost === view.taken) return TAKEN;',
    broken: "",
    tests: RUN,
  },
  {
    rule: "a launch for which there is no room uses up the bound of launches",
    file: "functions/check-run/launches.ts",
    text: "if (!noRoom && counted > policy.launchFailures) {",
    broken: "if (launchFailures > policy.launchFailures) {",
    tests: ["test/functions/check-run-capacity.test.ts"],
  },
  {
    rule: "what comes to the same each time is tried again",
    file: "core/run/deciding/retry-rule.ts",
    text: "failure !== null && KINDS[failure.kind].deterministic ?",
    broken: "failure !== null && failure.kind === undefined ?",
    tests: RUN,
    simulated: true,
  },
  {
    rule: "an append model is built again after it may have written",
    file: "core/run/deciding/retry-rule.ts",
    text: "if (mayHaveWritten(view, policy)) return MAY_HAVE_WRITTEN;",
    broken: "",
    tests: RUN,
  },
  {
    rule: "an append model is built again after its build was killed",
    file: "core/run/deciding/retry-rule.ts",
    text: "if (!repeatable) {",
    broken: "if (repeatable === undefined) {",
    tests: RUN,
  },
  {
    rule: "a retry does not wait",
    file: "core/run/deciding/retry-rule.ts",
    text: "view.endedAtMs + backOffMs(",
    broken: "view.endedAtMs + 0 * backOffMs(",
    tests: RUN,
  },
  {
    rule: "a last word is asked for anew each turn",
    file: "core/run/deciding/closing.ts",
    text: "standingWord(view) ??",
    broken: "",
    tests: RUN,
  },
  {
    rule: "a dead vertex dooms nothing below it",
    file: "core/run/deciding/closing.ts",
    text: "gatedWord(view, closed) ??",
    broken: "",
    tests: RUN,
  },
  {
    rule: "a recovery build asks no gate parents",
    file: "core/run/deciding/recovery-set.ts",
    text: "if (view.plan.gateParents.every((parent) => set.has(parent) || opensGate(parent, standing))) ",
    broken: "",
    tests: RUN,
    simulated: true,
  },
  {
    rule: "a node is built again for its test under what was built on it",
    file: "core/run/deciding/recovery-set.ts",
    text: "again: nodes.filter((id) => !readers.has(id)),",
    broken: "again: nodes,",
    tests: RUN,
  },
  {
    rule: "what was built on a failed node stays good once that is mended",
    file: "core/run/judging/vertex-view.ts",
    text: "plan.builds && gates.mendedIn > row.statusTask;",
    broken: "false;",
    tests: RUN,
  },
  {
    rule: "something is built on what will be built again",
    file: "core/run/deciding/recovery-set.ts",
    text: "letsThrough(views.get(parent)) && !open.has(parent);",
    broken: "letsThrough(views.get(parent));",
    tests: RUN,
  },
  {
    rule: "a fallback asks no gate parents",
    file: "core/run/deciding/claims.ts",
    text: "if (!gatesAreGood(view, standing)) return false;",
    broken: "",
    tests: RUN,
  },
  {
    rule: "the cap of the execution queue is ignored",
    file: "core/run/deciding/step.ts",
    text: "return maxTasks - live.filter(",
    broken: "return 99 - live.filter(",
    tests: RUN,
  },
  {
    rule: "a warehouse with one writer gets two builds at once",
    file: "core/run/deciding/step.ts",
    text: "if (takesOneWriter(plan)) return 1 - live.length;",
    broken: "",
    tests: RUN,
  },
  {
    rule: "the run is over while a task lives",
    file: "core/run/deciding/step.ts",
    text: "if (live.length > 0) return { finals: unwritten(closed, views), settle: false };",
    broken: "",
    tests: RUN,
  },
  {
    rule: "a stopped run does not wait for its tasks",
    file: "core/run/deciding/step.ts",
    text: "if (live.length > 0) return { ...nothing, stopTasks: true };",
    broken: "",
    tests: [...RUN, ...WORLD],
  },
  {
    rule: "what may kill builds is rebuilt together with others",
    file: "core/run/deciding/wave.ts",
    text: " || recovering.some(firstLoneRetry)",
    broken: "",
    tests: RUN,
  },
  {
    rule: "what failed again in a common build is never built alone",
    file: "core/run/deciding/failed-together.ts",
    text: "if (view.tries > 1) return null;",
    broken: "",
    tests: RUN,
  },
  {
    rule: "a consumer is green although a test of its node failed",
    file: "core/run/watching/consumer.ts",
    text: "if (failed) return red(",
    broken: "if (failed?.plan === null) return red(",
    tests: RUN,
    simulated: true,
  },
];

/** Rounds, and recovery while a build goes on. */
const AGAIN: readonly BrokenRule[] = [
  {
    rule: "a last word of an earlier round closes a vertex in this one",
    file: "core/run/judging/rounds.ts",
    text: "if (scope === null) return withoutFinal(row);",
    broken: "",
    tests: RUN,
  },
  {
    rule: "a further round builds what it is not for",
    file: "core/run/judging/rounds.ts",
    text: "if (!scope.has(row.uniqueId)) return unlessMarked(leftAside(row, scope));",
    broken: "if (!scope.has(row.uniqueId)) return withoutFinal(row);",
    tests: RUN,
  },
  {
    rule: "a retry of nodes that are good builds nothing",
    file: "core/run/judging/rounds.ts",
    text: "return again.has(row.uniqueId) ? unbuilt(now) : now;",
    broken: "return now;",
    tests: RUN,
  },
  {
    rule: "a consumer that is redriven builds good nodes again",
    file: "core/run/judging/rounds.ts",
    text: 'if (by === "consumer") return { ...goesOn, scope };',
    broken: "",
    tests: RUN,
  },
  {
    rule: "early recovery takes what its build may still touch",
    file: "core/run/deciding/early-recovery.ts",
    text: "!touchable.has(view.plan.uniqueId) &&",
    broken: "",
    tests: RUN,
  },
  {
    rule: "early recovery takes vertices from a build of which nobody has heard",
    file: "core/run/deciding/early-recovery.ts",
    text: "new Set([...builds].filter(beating))",
    broken: "new Set([...builds].filter(beating) && builds)",
    tests: RUN,
  },
];

/** What keeps two of anything from doing the same thing. */
const TOGETHER: readonly BrokenRule[] = [
  {
    rule: "a run builds while another holds the lock",
    file: "functions/run-lock.ts",
    text: 'if (execution?.status === "RUNNING") return holder;',
    broken: "",
    tests: [...WORLD, "test/functions"],
  },
  {
    rule: "a run takes the lock while tasks of its dead holder build",
    file: "functions/run-lock.ts",
    text: "if (alive) return holder;",
    broken: "",
    tests: ["test/functions"],
  },
  {
    rule: "a run takes a free lock although others have waited for longer",
    file: "functions/start-run/turn-in-queue.ts",
    text: "if (ahead.length > 0 || (await takeRunLock(lock, deps)) !== null)",
    broken: "if ((await takeRunLock(lock, deps)) !== null)",
    tests: ["test/functions"],
  },
  {
    rule: "a decision that lost the version is carried out",
    file: "functions/check-run/launches.ts",
    text: "if (!(await deps.ledger.createTask(run, version, row))) return false;",
    broken: "await deps.ledger.createTask(run, version, row);",
    tests: ["test/functions"],
  },
  {
    rule: "a task is launched although a vertex of its set has another owner",
    file: "functions/check-run/launches.ts",
    text: "if (lost !== null) {",
    broken: "if (lost === undefined) {",
    tests: ["test/functions"],
  },
  {
    rule: "a task that was half launched is left so",
    file: "functions/check-run/check-run.ts",
    text: "await unlaunched(run, tasks, deps)",
    broken: "unlaunched === undefined",
    tests: [...WORLD, "test/functions"],
    simulated: true,
  },
  {
    rule: "what is half launched is launched under the stop flag",
    file: "functions/check-run/check-run.ts",
    text: "stop === null ? finishLaunches : closeUnlaunched",
    broken: "finishLaunches",
    tests: ["test/functions"],
  },
  {
    rule: "a verdict is given while a task builds",
    file: "functions/close-tasks.ts",
    text: 'if (task.state === "running") throw new TaskStillBuilds(run.runId, task.task);',
    broken: "",
    tests: ["test/functions"],
  },
  {
    rule: "the container does not ask the fence",
    file: "containers/dbt-runner/supervise.ts",
    text: "if (!(await passFence(deps, startedAtMs, untilMs))) return EXIT.fenceLost;",
    broken: "await passFence(deps, startedAtMs, untilMs);",
    tests: ["test/containers/supervise.test.ts"],
  },
  {
    rule: "DynamoDB: the fence can be passed twice",
    file: "clients/dynamo/task-rows.ts",
    text: 'when: allOf(absent("fencedBy"), absent("closedAtMs")),',
    broken: 'when: absent("closedAtMs"),',
    ...LEDGER,
  },
  {
    rule: "DynamoDB: the fence of a launch that was given up lets a container in",
    file: "clients/dynamo/task-rows.ts",
    text: 'when: allOf(absent("fencedBy"), absent("closedAtMs")),',
    broken: 'when: absent("fencedBy"),',
    ...LEDGER,
  },
  {
    rule: "DynamoDB: a launch is given up under a container that has begun",
    file: "clients/dynamo/task-rows.ts",
    text: 'absent(stop.neverStarted ? "fencedBy" : "end")',
    broken: 'absent("end")',
    ...LEDGER,
  },
  {
    rule: "DynamoDB: a claim without its condition",
    file: "clients/dynamo/vertex-rows.ts",
    text: "if (!isOwnedBy(from, look)) return false;",
    broken: "",
    ...LEDGER,
  },
  {
    rule: "DynamoDB: two claims at once both win",
    file: "clients/dynamo/vertex-rows.ts",
    text: "          when: asSeen(look.decided),\n",
    broken: "",
    ...LEDGER,
  },
  {
    rule: "the word of whom a vertex was claimed from counts",
    file: "core/run/judging/joined-rows.ts",
    text: "return isKept ? [] : [decided.ownerTask];",
    broken: "return isKept ? [] : [decided.ownerTask, ...producers];",
    tests: ["test/core/run/joined-rows.test.ts"],
    simulated: true,
  },
  {
    rule: "a word that comes after the last word counts",
    file: "core/run/judging/joined-rows.ts",
    text: "decided.final !== undefined || ",
    broken: "",
    tests: ["test/core/run/joined-rows.test.ts"],
  },
  {
    rule: "DynamoDB: a claim keeps nothing of what was said",
    file: "clients/dynamo/vertex-rows.ts",
    text: "const story = stored(keptStory(look.row, claim.forget));",
    broken: "const story = stored(keptStory(look.decided as typeof look.row, claim.forget));",
    ...LEDGER,
  },
  {
    rule: "a plan is taken from whoever tells one",
    file: "core/run/planning/plan-bounds.ts",
    text: 'round > 0 && (kind === "producer" || kind === "plan")',
    broken: "round > 0 || kind.length > 0",
    tests: ["test/functions/accept-plan.test.ts"],
  },
  {
    rule: "a task's role may write what is decided of a run",
    file: "infra/dbt-project.ts",
    text: '[runs], ["GetItem"], "ReadRuns"',
    broken: '[runs], ["GetItem", "UpdateItem"], "ReadRuns"',
    tests: ["test/infra/permissions.test.ts"],
  },
  {
    rule: "what a project adds to its task's role opens what is decided",
    file: "infra/dbt-project.ts",
    text: "...nothingElseOfLedger(ledger.table, told),",
    broken: "",
    tests: ["test/infra/container-writes.test.ts"],
  },
  {
    rule: "what a run was judged by can be written over",
    file: "infra/artefacts.ts",
    text: "this.bucket.addToResourcePolicy(writtenOnce(this.bucket));",
    broken: "",
    tests: ["test/infra/container-writes.test.ts"],
  },
  {
    rule: "a container reads rows by a call that its role has not",
    file: "clients/dynamo/task-rows.ts",
    text: "const [decided, told] = await Promise.all([table.get(taskKey(run, task)), table.get(toldTaskKey(run, task))]);",
    broken: "const [decided = null, told = null] = await table.getMany([taskKey(run, task), toldTaskKey(run, task)]);",
    tests: ["test/infra/container-writes.test.ts"],
  },
  {
    rule: "a plan of any size is taken",
    file: "core/run/planning/plan-bounds.ts",
    text: "if (vertices.length > MOST_PLANNED)",
    broken: "if (vertices.length < 0)",
    tests: ["test/functions/accept-plan.test.ts"],
  },
  {
    rule: "DynamoDB: a task is made on a version that is gone",
    file: "clients/dynamo/task-rows.ts",
    text: 'when: allOf(equals("version", version), equals("state", "running"), ...notStopped),',
    broken: 'when: allOf(equals("state", "running"), ...notStopped),',
    ...LEDGER,
  },
  {
    rule: "DynamoDB: a second verdict replaces the first",
    file: "clients/dynamo/run-rows.ts",
    text: "set: { ...verdict, tally }, when: runsIn(run)",
    broken: "set: { ...verdict, tally }, when: isPresent(run)",
    ...LEDGER,
  },
];

/** Stopping, and what a gone machine leaves. */
const STOPPING: readonly BrokenRule[] = [
  {
    rule: "stop-run acts although the execution goes on",
    file: "functions/stop-run/stop-run.ts",
    text: "return GOES_ON.has(execution.status) || (redriveCount",
    broken: "return (redriveCount",
    tests: ["test/functions/stop-run.test.ts"],
  },
  {
    rule: "a late event of an earlier redrive counts",
    file: "functions/stop-run/stop-run.ts",
    text: "(redriveCount ?? execution.redriveCount) < execution.redriveCount",
    broken: "false",
    tests: ["test/functions/stop-run.test.ts"],
  },
  {
    rule: "what comes late of a round gives back the lock of the next one",
    file: "functions/run-lock.ts",
    text: "run.runId, run.round);",
    broken: "run.runId);",
    tests: ["test/functions/stop-run.test.ts"],
  },
  {
    rule: "under a stop a launch that was left half done is finished",
    file: "functions/check-run/check-run.ts",
    text: "stop === null ? finishLaunches : closeUnlaunched",
    broken: "finishLaunches",
    tests: ["test/functions/check-run.test.ts"],
  },
  {
    rule: "a stop after the current builds ends them",
    file: "functions/check-run/check-run.ts",
    text: "decision.stopTasks && stop?.afterCurrent !== true",
    broken: "decision.stopTasks",
    tests: ["test/functions/check-run.test.ts"],
  },
  {
    rule: "a retry that was asked for before the stop is done after it",
    file: "core/run/judging/rounds.ts",
    text: " && atMs > stoppedAtMs",
    broken: "",
    tests: ["test/core/run/rounds.test.ts"],
  },
  {
    rule: "DynamoDB: a task is made after a stop",
    file: "clients/dynamo/task-rows.ts",
    text: ', equals("state", "running"), ...notStopped),',
    broken: ', equals("state", "running")),',
    ...LEDGER,
  },
  {
    rule: "DynamoDB: a lock is given back by an earlier round",
    file: "clients/dynamo/project-rows.ts",
    text: 'round === undefined ? [] : [notLater("round", round)]',
    broken: "round === undefined ? [] : []",
    ...LEDGER,
  },
];

/** What a node, a run and a person are asked and told. */
const TELLING: readonly BrokenRule[] = [
  {
    rule: "what a node says of itself is not asked",
    file: "core/run/planning/node-settings.ts",
    text: "if ((retries ?? retryOn ?? retryDelaySeconds ?? onTestFailure) === undefined) return policy;",
    broken: "if (retries !== null) return policy;",
    tests: ["test/core/run/node-settings.test.ts"],
  },
  {
    rule: "a bad value of meta.stepwatch takes the fields beside it",
    file: "core/run/planning/node-settings.ts",
    text: "return value === undefined || unread.has(field)",
    broken: "return problems.length > 0 || value === undefined || unread.has(field)",
    tests: ["test/core/run/make-plan.test.ts"],
  },
  {
    rule: "one run lasts longer than its machines hold",
    file: "core/contracts/run-policy.ts",
    text: "minutes > longestRunMinutes",
    broken: "minutes > 10_080",
    tests: ["test/core/run-policy.test.ts"],
  },
  {
    rule: "a node that runs too long is an event at every turn",
    file: "functions/check-run/tell-overdue.ts",
    text: "if (views.get(one.uniqueId)?.row?.overdueTold === one.task) continue;",
    broken: "",
    tests: ["test/functions/check-run.test.ts"],
  },
  {
    rule: "a table that may have been replaced is called stale",
    file: "core/run/reporting/table-state.ts",
    text: "const beforeItsSql = !follows && (",
    broken: "const beforeItsSql = (",
    tests: ["test/core/run/why.test.ts"],
  },
  {
    rule: "what is held back has no moment at which it goes on",
    file: "core/run/deciding/next-moment.ts",
    text: "step({ ...asked, tasks, heldSinceMs, nowMs })",
    broken: "step({ ...asked, tasks, nowMs })",
    tests: ["test/core/run/waits.properties.test.ts"],
  },
  {
    rule: "rows of a failed test are kept with their secrets",
    file: "containers/dbt-runner/sample-failures.ts",
    text: "sampledRows(deps.output.masked(line))",
    broken: "sampledRows(line)",
    tests: ["test/containers/sampling.test.ts"],
  },
];

/** `recovery: early`: what may be built beside a build that goes on. */
const BESIDE: readonly BrokenRule[] = [
  {
    rule: "early: what dbt has not skipped yet is taken from its build",
    file: "core/run/deciding/early-recovery.ts",
    text: "const isSaid = saysSkipped(view) || !view.plan.builds;",
    broken: "const isSaid = true;",
    tests: ["test/core/run/early-recovery.test.ts"],
  },
  {
    rule: "early: a skip that no failure explains frees what was skipped",
    file: "core/run/deciding/early-recovery.ts",
    text: 'return parent.class === "failed" || seen.below.has(id);',
    broken: "return true;",
    tests: ["test/core/run/early-recovery-recorded.test.ts", "test/core/run/step.properties.test.ts"],
  },
  {
    rule: "early: a failure of which nobody knows the cause is tried again",
    file: "core/run/deciding/early-recovery.ts",
    text: "return isKnown && givenUp(view, policy, round) === null;",
    broken: "return givenUp(view, policy, round) === null;",
    tests: ["test/core/run/early-recovery.test.ts"],
  },
  {
    rule: "early: what is given up for good is tried again",
    file: "core/run/deciding/early-recovery.ts",
    text: "return isKnown && givenUp(view, policy, round) === null;",
    broken: "return isKnown;",
    tests: ["test/core/run/early-recovery.test.ts"],
  },
  {
    rule: "early: what one outage strikes is a task each",
    file: "core/run/deciding/early-recovery.ts",
    text: "return new Set([...struck.values()].filter(goesOn).flat());",
    broken: "return new Set();",
    tests: ["test/core/run/early-recovery.test.ts"],
  },
  {
    rule: "early: each descendant that becomes ready is a recovery build",
    file: "core/run/deciding/early-recovery.ts",
    text: "return nowMs < last.claimedAtMs + builtMs * SHARE_BETWEEN_WAVES;",
    broken: "return false;",
    tests: ["test/core/run/early-recovery.test.ts"],
  },
  {
    rule: "early: a build that is being cut short gives vertices free",
    file: "core/run/deciding/early-recovery.ts",
    text: 'if (cls === "interrupted" && !free && owner !== null) sound.delete(owner);',
    broken: "",
    tests: ["test/core/run/early-recovery.test.ts"],
  },
  {
    rule: "early: on-run hooks run beside the producer",
    file: "core/run/deciding/early-refusal.ts",
    text: "if (hooksMeet(plan, policy))",
    broken: "if (false)",
    tests: ["test/core/run/early-recovery.test.ts"],
  },
  {
    rule: "early: a retry beside a silent producer is forgotten",
    file: "functions/check-run/check-run.ts",
    text: "if (nowMs >= last.untilMs) return false;",
    broken: "",
    tests: ["test/functions/check-run.test.ts"],
  },
  {
    rule: "early: fail-fast of the environment stays on",
    file: "containers/dbt-runner/recover-beside.ts",
    text: "return { ...options, failFast: false, extraArgs:",
    broken: "return { ...options, extraArgs:",
    tests: ["test/containers/recover-beside.test.ts"],
  },
];

/** What is in a project's image, and which image a run has. */
const IMAGE: readonly BrokenRule[] = [
  {
    rule: "what git ignores stays out of the image, though dbt reads it",
    file: "infra/copy-project.ts",
    text: "copying.ignored(file) && !isReadByDbt(file, isSource, copying)",
    broken: "copying.ignored(file)",
    tests: ["test/infra/image-context.test.ts"],
  },
  {
    rule: "an image that lacks what dbt reads is built",
    file: "infra/image-context.ts",
    text: "if (missing.length === 0) return;",
    broken: "if (missing.length >= 0) return;",
    tests: ["test/infra/image-context.test.ts"],
  },
  {
    rule: "an image that was chosen counts after another deploy",
    file: "core/run/planning/chosen-image.ts",
    text: "chosen === null || !isOverDeployed(deployed, chosen)",
    broken: "chosen === null",
    tests: ["test/core/run/chosen-image.test.ts"],
  },
  {
    rule: "dbt deps is run in the image's build although the packages are installed",
    file: "infra/package-install.ts",
    text: "wanted > installedIn(installPath) ? listed : []",
    broken: "listed",
    tests: ["test/infra/image-build.test.ts"],
  },
];

/** Waits, and who ends them. */
const WAKES: readonly BrokenRule[] = [
  {
    rule: "a consumer looks at its node, and notes its token then",
    file: "functions/watch-node/watch-node.ts",
    text: "    await note(consumer.round);\n    return (await look(taskToken, consumer, deps, redrives)).state;",
    broken:
      "    const { state } = await look(taskToken, consumer, deps, redrives);\n    await note(consumer.round);\n    return state;",
    tests: ["test/functions/wake.test.ts"],
  },
  {
    rule: "what has only begun answers consumers, without the run's tasks",
    file: "functions/wake/wake.ts",
    text: "  if (!isWord) return;\n",
    broken: "",
    tests: ["test/functions/wake.test.ts"],
  },
  {
    rule: "a run that goes on with another takes over how its consumers waited",
    file: "core/run/judging/adoption.ts",
    text: '["wait", "waitAtMs", "waitRound", "testsWait", "testsWaitAtMs", "testsWaitRound"],',
    broken: "[],",
    tests: ["test/scenarios/rounds.test.ts"],
  },
  {
    rule: "what a fallback's vertices gate waits for the fallback's end",
    file: "functions/wake/wake.ts",
    text: "if (told.some(({ uniqueId }) => rowOf.get(uniqueId)?.endedAtMs === lastMs)) return true;",
    broken: "",
    tests: ["test/scenarios/machines.test.ts"],
  },
  {
    rule: "a retry comes up to a second late, since states wait whole seconds",
    file: "core/run/watching/next-look.ts",
    text: "return { waitSeconds: seconds - 1, afterMs: beyondMs };",
    broken: "return { waitSeconds: seconds };",
    tests: ["test/scenarios/machines.test.ts"],
  },
  {
    rule: "the end of its run between a redriven consumer's look and the noting of its token is missed",
    file: "functions/watch-node/watch-node.ts",
    text: "const again = await look(taskToken, consumer, deps, redrives);",
    broken: "const again = seen;",
    tests: ["test/functions/wake.test.ts"],
  },
  {
    rule: "a consumer's outcome is noted, and it is not told",
    file: "functions/answer-consumers.ts",
    text: "await sendAnswer(wait.token, uniqueId, answer, deps);",
    broken: "",
    tests: ["test/functions/wake.test.ts"],
  },
  {
    rule: "wakes fill a run's history",
    file: "core/run/watching/spent-turns.ts",
    text: "((run.turns ?? 0) - SPARE_TURNS)",
    broken: "(0 - SPARE_TURNS)",
    tests: ["test/core/run/next-look.test.ts"],
  },
  {
    rule: "a build's end wakes nobody",
    file: "functions/wake/wake.ts",
    text: '"task over", "plan told"',
    broken: '"plan told"',
    tests: ["test/functions/wake.test.ts"],
  },
  {
    rule: "a state waits for less than its check takes",
    file: "functions/check-run/check-run.ts",
    text: "Math.max(SOON_SECONDS, Math.ceil((2 * (nowMs - beganAtMs)) / 1_000))",
    broken: "SOON_SECONDS",
    tests: ["test/functions/check-run.test.ts"],
  },
  {
    rule: "an answer that came too late is told to nobody",
    file: "functions/check-run/check-run.ts",
    text: "if (now.wait.waitSeconds < answer.waitSeconds) ",
    broken: "if (now.wait.waitSeconds < 0) ",
    tests: ["test/functions/slow-checks.test.ts"],
  },
  {
    rule: "all tests of a node are read each time that one of them ends",
    file: "functions/wake/wake.ts",
    text: 'run.state === "running" ? await withoutOpenTests(run, plan, rows, deps) : openWaits(rows)',
    broken: "openWaits(rows)",
    tests: ["test/functions/wake.test.ts"],
  },
  {
    rule: "what one run can not be told keeps the others waiting",
    file: "functions/each-run.ts",
    text: "else unforeseen(error);",
    broken: "else throw error;",
    tests: ["test/functions/wake.test.ts"],
  },
  {
    rule: "a lock is taken from a container that is silent and may build",
    file: "functions/run-lock.ts",
    text: "Math.max(silentMs, leftMs(task))",
    broken: "silentMs",
    tests: ["test/functions/start-run.test.ts"],
  },
  {
    rule: "what a person has marked green is the latest green one",
    file: "core/run/reporting/latest.ts",
    text: " && rows.every(({ mark }) => !mark)",
    broken: "",
    tests: ["test/functions/publish-artefacts.test.ts"],
  },
  {
    rule: "a full refresh of a microbatch model has the window of its failed batches",
    file: "core/run/deciding/fallbacks.ts",
    text: "isBuiltWhole(view.plan, round) ? null : ",
    broken: "",
    tests: ["test/core/run/event-window.test.ts"],
  },
  {
    rule: "what a lost record would have told is told by nobody",
    file: "functions/check-run/check-run.ts",
    text: "await answerConsumers({ run, plan, rows, tasks }, deps);",
    broken: "",
    tests: ["test/functions/check-run.test.ts"],
  },
];

export const BROKEN_RULES: readonly BrokenRule[] = [
  ...READING,
  ...DECIDING,
  ...AGAIN,
  ...TOGETHER,
  ...STOPPING,
  ...TELLING,
  ...BESIDE,
  ...IMAGE,
  ...WAKES,
];

/** Rules whose text no longer stands exactly once in their source: nobody would notice that they break nothing. */
export const withoutText = (rules: readonly BrokenRule[], sourceOf: (file: string) => string): string[] =>
  rules.flatMap(({ rule, file, text }) => {
    const times = sourceOf(file).split(text).length - 1;
    if (times === 1) return [];
    return [
      `"${rule}": ${file} has its text ${times} times. Say in test/broken-rules/rules.ts how it is broken now: ${text}`,
    ];
  });
