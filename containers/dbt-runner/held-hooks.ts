import type { HooksBrief } from "#core/contracts/task-set.ts";
import { isDbt1 } from "#core/dbt/dbt-version.ts";
import { type CommandWith, changedStart } from "./python-start.ts";

/**
 * Which on-run hooks one process runs. Start hooks of packages run in each: their macros may rest on what the hook keeps
 * in the process' memory (elementary's do). The results of other builds replace a build of this process' own: dbt
 * selects, and runs nothing but hooks. Without them end hooks are not run: told of nothing, a hook takes all for well.
 */
const CODE = `import json
from datetime import datetime, timezone

HELD = json.loads(os.environ["STEPWATCH_HOOKS"])
GOOD = ("success", "pass", "warn", "no-op")
SECTIONS = ("nodes", "unit_tests", "exposures", "saved_queries", "functions")


def change(run):
    task = run.RunTask
    hooks_by_type, hook_sql = task.get_hooks_by_type, task.get_hook_sql
    counts_each_package = hasattr(task, "run_hooks")

    def all_good(self):
        return all(str(getattr(one.status, "value", one.status)) in GOOD for one in self.node_results)

    def is_held(self, hook, number):
        if "on-run-start" in hook.tags:
            return HELD["start"] == "packages" and hook.package_name == self.config.project_name
        index = hook.index if counts_each_package else number - 1
        return f"{hook.package_name}.on-run-end.{index}" in HELD["done"]

    def get_hooks_by_type(self, hook_type):
        hooks = hooks_by_type(self, hook_type)
        if hook_type == run.RunHookType.Start:
            return [] if all(is_held(self, hook, 0) for hook in hooks) else hooks
        if HELD["end"] == "none" or (HELD["end"] == "if_good" and not all_good(self)):
            return []
        return [] if HELD["results"] and not getattr(self, "stepwatch_told", False) else hooks

    def get_hook_sql(self, adapter, hook, idx, num_hooks, extra_context):
        return "" if is_held(self, hook, idx) else hook_sql(self, adapter, hook, idx, num_hooks, extra_context)

    def execute_nodes(self):
        self.stepwatch_told = True
        with open(HELD["results"], encoding="utf-8") as file:
            results = [result_of(run, self.manifest, one) for one in json.load(file)]
        return [one for one in results if one is not None]

    task.get_hooks_by_type = get_hooks_by_type
    task.get_hook_sql = get_hook_sql
    if HELD["results"]:
        task.execute_nodes = execute_nodes


def result_of(run, manifest, one):
    sections = [getattr(manifest, name, {}) for name in SECTIONS]
    node = next((nodes[one["unique_id"]] for nodes in sections if one["unique_id"] in nodes), None)
    if node is None:
        return None
    for name in ("compiled", "compiled_code", "relation_name"):
        if one.get(name) and hasattr(node, name):
            setattr(node, name, one[name])
    return run.RunResult(
        status=status_of(one["status"], node),
        timing=[timing_of(part) for part in one.get("timing") or []],
        thread_id=one.get("thread_id") or "Thread-1",
        execution_time=one.get("execution_time") or 0.0,
        adapter_response=one.get("adapter_response") or {},
        message=one.get("message"),
        failures=one.get("failures"),
        node=node,
    )


def status_of(word, node):
    from dbt.artifacts.schemas.results import NodeStatus, RunStatus, TestStatus

    tests = str(getattr(node.resource_type, "value", node.resource_type)) in ("test", "unit_test")
    for words in (TestStatus, RunStatus, NodeStatus) if tests else (RunStatus, NodeStatus):
        for status in words:
            if status.value == word:
                return status
    return RunStatus.Error


def timing_of(part):
    from dbt.artifacts.schemas.results import TimingInfo

    at = {name: moment(part.get(name)) for name in ("started_at", "completed_at")}
    return TimingInfo(name=part["name"], **at)


def moment(text):
    if not text:
        return None
    at = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return at if at.tzinfo is None else at.astimezone(timezone.utc).replace(tzinfo=None)
`;

/** This dbt can not be told which hooks to run: nothing was built. */
export class HooksNotHeld extends Error {
  override readonly name = "HooksNotHeld";
}

/** What one process runs of the project's on-run hooks. */
export interface HeldHooks {
  /** `packages`: those of installed packages alone. */
  readonly start: "all" | "packages";
  /** `if_good`: where the process has built everything well, so that nothing will be built after it. */
  readonly end: "all" | "if_good" | "none";
  /** End hooks that are done, by dbt's names. */
  readonly done: readonly string[];
  /** File of the results that hooks are told, in place of a build. */
  readonly results: string | null;
}

/** With `hooks: once`: the producer's, where a later build may come. Tests that run after all are such a build. */
export const hooksOfProducer = (isLast: boolean): HeldHooks => ({
  start: "all",
  end: isLast ? "if_good" : "none",
  done: [],
  results: null,
});

/** With `hooks: once`: those of a build of an exact set. */
export const hooksOfSet = (startHooks: boolean): HeldHooks => ({
  start: startHooks ? "all" : "packages",
  end: "none",
  done: [],
  results: null,
});

/** Those of a process that runs hooks alone. */
export const hooksAlone = ({ start, done }: HooksBrief, results: string): HeldHooks => ({
  start: start ? "all" : "packages",
  end: "all",
  done,
  results,
});

/**
 * The environment with which dbt runs these hooks and no others (behaviour G30, docs/adr/0038). dbt has no option for it:
 * its own task asks one method for the hooks of a phase, in each of 1.8 to 1.12, and that method is answered here.
 * @throws {@link HooksNotHeld}
 */
export async function heldHooks(
  hooks: HeldHooks,
  folder: string,
  dbtVersion: string | null,
  command: CommandWith,
): Promise<Readonly<Record<string, string>>> {
  if (dbtVersion !== null && !isDbt1(dbtVersion)) throw notHeld(dbtVersion);
  const env = { STEPWATCH_HOOKS: JSON.stringify(hooks) };
  const changed = await changedStart({ folder, module: "dbt.task.run", code: CODE, env }, command);
  if (changed === null) throw notHeld(dbtVersion);
  return changed;
}

const notHeld = (dbtVersion: string | null) =>
  new HooksNotHeld(
    `dbt ${dbtVersion ?? "of this image"} can not be told which on-run hooks to run, which hooks: once needs; nothing was built. Set hooks: each, with which they run in every dbt process.`,
  );
