import { z } from "zod";
import { InfrastructureError } from "./failure.ts";

/** What a deployed stack tells the command line, by the names of its CloudFormation outputs (infra/stack). */
const outputsSchema = z.object({
  TableName: z.string().min(1),
  BucketName: z.string().min(1),
  RunMachineArn: z.string().min(1),
  ConsumerMachineArn: z.string().min(1),
  // Of a stack of an earlier version it is not there.
  BackfillMachineArn: z.string().min(1).optional(),
  DataKeyArn: z.string().min(1).optional(),
});

export interface Resources {
  readonly stackName: string;
  readonly table: string;
  readonly bucket: string;
  readonly runMachineArn: string;
  readonly consumerMachineArn: string;
  /** Not there before the stack is deployed by this version. */
  readonly backfillMachineArn?: string | undefined;
  /** The account's own key of table and bucket, where there is one. */
  readonly dataKeyArn?: string | undefined;
}

/** @throws {InfrastructureError} if the stack lacks an output: it is none of ours, or of another version. */
export function resourcesOf(stackName: string, outputs: Readonly<Record<string, string>>): Resources {
  const parsed = outputsSchema.safeParse(outputs);
  if (!parsed.success) {
    const missing = parsed.error.issues.map((issue) => issue.path.join(".")).join(", ");
    throw new InfrastructureError(
      `The stack ${stackName} has no output ${missing}: it was deployed by another version or is another stack.`,
      "npx stepwatch deploy",
    );
  }
  const { TableName, BucketName, RunMachineArn, ConsumerMachineArn, BackfillMachineArn, DataKeyArn } = parsed.data;
  return {
    stackName,
    table: TableName,
    bucket: BucketName,
    runMachineArn: RunMachineArn,
    consumerMachineArn: ConsumerMachineArn,
    backfillMachineArn: BackfillMachineArn,
    dataKeyArn: DataKeyArn,
  };
}
