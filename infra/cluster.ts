import { Validations } from "aws-cdk-lib";
import { CfnCluster } from "aws-cdk-lib/aws-ecs";
import { Construct } from "constructs";

export interface ClusterProps {
  readonly clusterName: string;
  /** Some project runs on Spot. */
  readonly spot: boolean;
}

/** Where tasks run: a name, and Fargate. It costs nothing by itself. */
export class Cluster extends Construct {
  readonly name: string;
  readonly arn: string;

  constructor(scope: Construct, id: string, { clusterName, spot }: ClusterProps) {
    super(scope, id);
    const cluster = new CfnCluster(this, "Cluster", {
      clusterName,
      clusterSettings: [{ name: "containerInsights", value: "disabled" }],
      // Only where they are needed: in an account that never had a cluster ECS makes its service-linked role by this call,
      // and with capacity providers the call fails while the role is not there yet.
      ...(spot && { capacityProviders: ["FARGATE", "FARGATE_SPOT"] }),
    });
    cluster.overrideLogicalId("Cluster");
    Validations.of(cluster).acknowledge({
      id: "AwsSolutions-ECS4",
      reason: "Container Insights is billed per task; the runner reports memory, exit codes and time to the ledger.",
    });
    this.name = cluster.ref;
    this.arn = cluster.attrArn;
  }
}
