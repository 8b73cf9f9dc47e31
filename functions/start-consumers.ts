import type { Executions } from "#clients/executions.ts";
import type { Ledger } from "#clients/ledger.ts";
import type { RunRow } from "#core/contracts/ledger.ts";
import { CONTRACT, type ConsumerReference } from "#core/contracts/payloads.ts";
import { eachLimited } from "#core/limit.ts";
import { consumerName } from "#core/names.ts";
import type { consumersDue } from "#core/run/watching/consumer.ts";

export interface StartConsumersDeps {
  readonly ledger: Pick<Ledger, "markConsumerStarted">;
  readonly executions: Pick<Executions, "start">;
  readonly consumerMachineArn: string;
  readonly nowMs: () => number;
}

/** StartExecution calls at once: far below every quota, and MiniStack takes about 50 a second. */
const CONSUMERS_AT_ONCE = 10;

/** Starts consumers that are due. Twice, the same name is the same execution. */
export async function startConsumers(
  run: RunRow,
  due: ReturnType<typeof consumersDue>,
  deps: StartConsumersDeps,
): Promise<void> {
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
