import { ListExecutionsCommand, SFNClient } from "@aws-sdk/client-sfn";
import { ServiceUnavailable } from "#core/errors.ts";
import { unavailable } from "./aws-errors.ts";
import { callSettings } from "./aws-settings.ts";

/** Of one answer of ListExecutions; beyond it nobody looks. */
const MOST_LISTED = 1_000;

/**
 * Names of a machine's newest executions, newest first: at most a thousand.
 * @throws ServiceUnavailable
 */
export async function executionNames(stateMachineArn: string, client = new SFNClient(callSettings)): Promise<string[]> {
  try {
    const { executions = [] } = await client.send(
      new ListExecutionsCommand({ stateMachineArn, maxResults: MOST_LISTED }),
    );
    return executions.flatMap(({ name }) => name ?? []);
  } catch (error) {
    return unavailable(ServiceUnavailable, "Step Functions ListExecutions")(error);
  }
}
