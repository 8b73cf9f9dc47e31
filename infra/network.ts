import { Validations } from "aws-cdk-lib";
import {
  GatewayVpcEndpointAwsService,
  IpAddresses,
  type IVpc,
  SecurityGroup,
  SubnetType,
  Vpc,
} from "aws-cdk-lib/aws-ec2";
import { Construct } from "constructs";
import type { StepwatchConfig } from "#core/config.ts";
import type { LaunchTarget } from "#core/contracts/settings.ts";

export interface NetworkProps {
  readonly vpc: StepwatchConfig["vpc"];
  /** The embedded AWS has no custom resources that could empty a group. */
  readonly local: boolean;
}

/**
 * Where tasks run. By default a network of its own that costs nothing while nothing runs: public subnets, a public
 * address per task, no inbound rule, no NAT gateway ($33 a month each), free gateway endpoints for S3 and DynamoDB. Or
 * the subnets of stepwatch.yaml.
 */
export class Network extends Construct {
  /** What RunTask needs to know of the network. */
  readonly placement: Pick<LaunchTarget, "subnets" | "securityGroups" | "assignPublicIp">;

  constructor(scope: Construct, id: string, props: NetworkProps) {
    super(scope, id);
    const { subnetIds, securityGroupIds, vpcId, assignPublicIp } = props.vpc;
    if (subnetIds === undefined) {
      const vpc = this.#ownVpc(props);
      this.placement = {
        subnets: vpc.publicSubnets.map((subnet) => subnet.subnetId),
        securityGroups: [this.#securityGroup(vpc as IVpc)],
        assignPublicIp: true,
      };
    } else {
      this.placement = {
        subnets: subnetIds,
        securityGroups: securityGroupIds ?? [this.#securityGroup(this.#givenVpc(vpcId))],
        assignPublicIp: assignPublicIp ?? false,
      };
    }
  }

  /** Zones come from the file, or from CloudFormation at deploy time: synth never asks an account. */
  #ownVpc({ vpc: { availabilityZones, restrictDefaultSecurityGroup }, local }: NetworkProps): Vpc {
    const vpc = new Vpc(this, "Vpc", {
      ipAddresses: IpAddresses.cidr("10.40.0.0/20"),
      ...(availabilityZones ? { availabilityZones: [...availabilityZones] } : { maxAzs: 2 }),
      natGateways: 0,
      subnetConfiguration: [{ name: "tasks", subnetType: SubnetType.PUBLIC, mapPublicIpOnLaunch: false }],
      gatewayEndpoints: {
        S3: { service: GatewayVpcEndpointAwsService.S3 },
        DynamoDb: { service: GatewayVpcEndpointAwsService.DYNAMODB },
      },
      // CloudFormation can not change this group: a function of CDK's empties it, once, at the deploy.
      restrictDefaultSecurityGroup: restrictDefaultSecurityGroup && !local,
    });
    Validations.of(vpc).acknowledge({
      id: "AwsSolutions-VPC7",
      reason: "Flow logs are billed by volume; there is no inbound rule and nothing else lives in this network.",
    });
    return vpc;
  }

  #givenVpc(vpcId: string | undefined): IVpc {
    if (vpcId === undefined) throw new Error("core/config lets no subnets pass without vpcId or securityGroupIds.");
    return Vpc.fromVpcAttributes(this, "GivenVpc", { vpcId, availabilityZones: ["given"] });
  }

  #securityGroup(vpc: IVpc): string {
    const group = new SecurityGroup(this, "Tasks", {
      vpc,
      description: "dbt tasks: nothing inbound, everything outbound (warehouses are reached by any port)",
      allowAllOutbound: true,
    });
    return group.securityGroupId;
  }
}
