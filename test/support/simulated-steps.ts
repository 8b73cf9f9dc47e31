import { expect } from "vitest";
import { runJobSchema } from "#core/contracts/job-steps.ts";
import type { TaskRow } from "#core/contracts/ledger.ts";
import type { SimulatedWorld } from "./simulated-world.ts";

/** A job whose steps read alone: one that is cut off runs again. */
export const JOB_WITH_STEPS = runJobSchema.parse({
  name: "around",
  before: ["source freshness", "parse"],
  after: ["docs generate", { command: "ls", always: true }],
});

const isGood = ({ end }: TaskRow): boolean => end?.cause.kind === "none" && end.exitCode === 0;

/**
 * Of a run with steps (behaviour H13): one command at a time, the build after those before it, none again that was good
 * unless more was built since, and none missing from a green run.
 */
export async function expectSteps(world: SimulatedWorld, runId: string): Promise<void> {
  const { tasks } = await world.rows(runId);
  const state = (await world.runRow(runId))?.state;
  const commands = tasks.filter(({ kind }) => kind === "command");
  const builds = tasks.filter(({ kind }) => kind !== "command");
  const endOf = ({ end, stop }: TaskRow) => end?.endedAtMs ?? stop?.stoppedAtMs ?? Number.POSITIVE_INFINITY;
  for (const command of commands)
    for (const before of tasks.filter(({ task }) => task < command.task))
      expect(endOf(before), `task ${before.task} is over before task ${command.task}`).toBeLessThanOrEqual(
        command.claimedAtMs,
      );
  const [first] = builds;
  for (const id of ["before-1", "before-2"]) {
    const own = commands.filter(({ step }) => step === id);
    if (first) expect(own.filter(isGood), `${id} was good once`).toHaveLength(1);
    if (first) for (const { task } of own) expect(task, `${id} came before the build`).toBeLessThan(first.task);
  }
  for (const id of ["after-1", "after-2"]) {
    const own = commands.filter(({ step }) => step === id);
    own.slice(1).forEach((again, at) => {
      const before = own[at]!;
      const isStale = builds.some(({ task }) => task > before.task && task < again.task);
      if (isGood(before)) expect(isStale, `${id} ran again, since more was built`).toBe(true);
    });
    const last = own.at(-1);
    const mustBeGood = state === "green" || (id === "after-2" && first !== undefined && state === "red");
    if (mustBeGood) expect(last !== undefined && isGood(last), `${id} was good`).toBe(true);
  }
}
