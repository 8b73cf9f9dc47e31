import { RemovalPolicy } from "aws-cdk-lib";
import { type IKey, Key } from "aws-cdk-lib/aws-kms";
import type { Construct } from "constructs";
import type { StepwatchConfig } from "#core/config.ts";

/** What becomes of the ledger and the artefacts, and with which key they are encrypted. */
export interface DataSettings {
  readonly removalPolicy: RemovalPolicy;
  readonly deletionProtection: boolean;
  /** Whether a deleted stack empties its bucket first. */
  readonly emptiesBucket: boolean;
  /** Of the account; undefined: keys that AWS keeps. */
  readonly key: IKey | undefined;
}

/** On the embedded AWS data goes with the stack, and there is neither a key nor a custom resource. */
export function dataSettings(scope: Construct, data: StepwatchConfig["data"], local: boolean): DataSettings {
  const goes = local || data.removal === "destroy";
  return {
    removalPolicy: goes ? RemovalPolicy.DESTROY : RemovalPolicy.RETAIN,
    deletionProtection: data.deletionProtection && !local,
    emptiesBucket: goes && !local,
    key: data.kmsKeyArn === undefined || local ? undefined : Key.fromKeyArn(scope, "DataKey", data.kmsKeyArn),
  };
}
