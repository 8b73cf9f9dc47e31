import type { FunctionName } from "./deployed-names.ts";

/** Below it a function has its share of one vCPU alone: 1,024 MiB have 0.58 of it, 256 MiB 0.14. */
const WHOLE_CPU_MIB = 1769;

/**
 * One call of a client may take 37.5 s with all its attempts (clients/aws-settings.ts): no timeout is below a minute.
 * Lambda gives CPU by memory and bills their product: what is busy with itself costs the same and is done sooner with a
 * whole CPU, what waits for services costs by its memory, which is a hundredth of its state's transition.
 *
 * Measured with 70,000 vertices (`npm run bench -- --only model`): to read their rows takes 1.5 s of a whole CPU and
 * 370 MB, to read their plan 0.5 s and 340 MB, the step or the summary 0.8 s.
 */
export const FUNCTION_SIZES: Readonly<Record<FunctionName, { memoryMiB: number; timeoutSeconds: number }>> = {
  /** Once a run, and once a minute in the queue. */
  "start-run": { memoryMiB: 512, timeoutSeconds: 60 },
  /** Reads all vertices of a run after a task's end, and starts up to a hundred consumers a turn at 40/s at worst. */
  "check-run": { memoryMiB: WHOLE_CPU_MIB, timeoutSeconds: 120 },
  /** Reads a few rows, once a turn and open node: most of all calls. It has the plan, of 30,000 vertices and more. */
  "watch-node": { memoryMiB: 512, timeoutSeconds: 60 },
  /** Reads 10,000 vertices and writes their summary; shorter than the state's timeout, so that its own error is seen. */
  "settle-run": { memoryMiB: WHOLE_CPU_MIB, timeoutSeconds: 300 },
  /** Does settle-run's work, and waits for stopped tasks before: four minutes (functions/stop-run), then its last calls. */
  "stop-run": { memoryMiB: WHOLE_CPU_MIB, timeoutSeconds: 420 },
  /** Several times a second while a run is live: reads the rows of a few consumers; a person sees what it does at once. */
  wake: { memoryMiB: 512, timeoutSeconds: 60 },
  /** Once a run, and once a warning: reads a run's summary, and waits for others' webhooks. */
  alert: { memoryMiB: 1024, timeoutSeconds: 180 },
  /** Once a table and twice a run: two posts to somebody else's service. */
  lineage: { memoryMiB: 256, timeoutSeconds: 90 },
  /** Once a second while nodes end: reads a few rows. At a run's end it reads its summary, half of settle-run's work. */
  publish: { memoryMiB: 1024, timeoutSeconds: 120 },
};
