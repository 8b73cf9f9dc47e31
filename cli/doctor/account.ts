import { CloudFormationClient, DescribeStacksCommand } from "@aws-sdk/client-cloudformation";
import { GetServiceQuotaCommand, ServiceQuotasClient } from "@aws-sdk/client-service-quotas";
import { GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";
import type { ProjectConfig, StepwatchConfig } from "#core/config.ts";
import { type Finding, findingsOf } from "./finding.ts";

const finding = findingsOf("account");

/** What is asked of an account. Each throws what AWS says; `null` where there is none. */
export interface Account {
  identity(): Promise<{ readonly account: string; readonly arn: string; readonly region: string }>;
  /** Outputs of a CloudFormation stack. */
  outputsOf(stackName: string): Promise<Readonly<Record<string, string>> | null>;
  quota(service: string, code: string): Promise<number | null>;
}

const SHORT = { maxAttempts: 2, requestHandler: { connectionTimeout: 3_000, requestTimeout: 8_000 } } as const;

/** By the credentials that every other command uses with `--stack`. */
export function realAccount(): Account {
  return {
    identity: async () => {
      const client = new STSClient(SHORT);
      const region = await client.config.region();
      const { Account = "", Arn = "" } = await client.send(new GetCallerIdentityCommand({}));
      return { account: Account, arn: Arn, region };
    },
    outputsOf: async (stackName) => {
      try {
        const answer = await new CloudFormationClient(SHORT).send(new DescribeStacksCommand({ StackName: stackName }));
        const outputs = answer.Stacks?.[0]?.Outputs ?? [];
        return Object.fromEntries(outputs.map(({ OutputKey = "", OutputValue = "" }) => [OutputKey, OutputValue]));
      } catch (error) {
        if (error instanceof Error && /does not exist/.test(error.message)) return null;
        throw error;
      }
    },
    quota: async (ServiceCode, QuotaCode) => {
      const { Quota } = await new ServiceQuotasClient(SHORT).send(
        new GetServiceQuotaCommand({ ServiceCode, QuotaCode }),
      );
      return Quota?.Value ?? null;
    },
  };
}

/** CDK's bootstrap stack has this version at least for what our template uses. */
const LEAST_BOOTSTRAP = 6;

/** Below it, functions of a run of a few hundred nodes are throttled, which they bear and which costs time. */
const COMFORTABLE_CONCURRENCY = 100;

/** The account as the shell's credentials see it. None are fine for the embedded AWS, unless a stack was named. */
export async function examineAccount(
  account: Account,
  config: StepwatchConfig | null,
  { stack, needed }: { readonly stack: string; readonly needed: boolean },
): Promise<Finding[]> {
  let identity: Awaited<ReturnType<Account["identity"]>>;
  try {
    identity = await account.identity();
  } catch (error) {
    const words = `No AWS account answers to this shell's credentials (${(error as Error).name}: ${(error as Error).message.split("\n")[0]})`;
    return [
      finding(
        "credentials",
        needed ? "problem" : "none",
        `${words}.`,
        needed ? "Set AWS_PROFILE or log in (aws sso login), and AWS_REGION." : "The embedded AWS needs none.",
      ),
    ];
  }
  const { region, arn } = identity;
  return [
    finding("credentials", "ok", `The shell's credentials are ${arn}, in ${region}.`),
    await bootstrapFinding(account, config, region),
    await stackFinding(account, stack, needed),
    ...(await quotaFindings(account, Object.values(config?.projects ?? {}))),
  ];
}

/** What the account keeps from this person is unknown, and no fault of anybody's. */
async function unlessRefused(check: string, what: string, look: () => Promise<Finding>): Promise<Finding> {
  try {
    return await look();
  } catch (error) {
    return finding(
      check,
      "unknown",
      `${what} can not be looked at: ${(error as Error).name}: ${(error as Error).message.split("\n")[0]}.`,
    );
  }
}

const bootstrapFinding = (account: Account, config: StepwatchConfig | null, region: string) =>
  unlessRefused("bootstrap", "CDK's bootstrap stack", async () => {
    const qualifier = config?.deployment.bootstrapQualifier;
    // A bootstrap stack of another qualifier may be called anything.
    if (qualifier !== undefined)
      return finding("bootstrap", "unknown", `The bootstrap stack with the qualifier ${qualifier} is not looked for.`);
    const outputs = await account.outputsOf("CDKToolkit");
    if (outputs === null)
      return finding(
        "bootstrap",
        "warning",
        `${region} is not bootstrapped for the CDK in this account.`,
        "npx cdk bootstrap",
      );
    const version = Number(outputs.BootstrapVersion ?? 0);
    return version < LEAST_BOOTSTRAP
      ? finding(
          "bootstrap",
          "warning",
          `CDK's bootstrap stack has version ${version}, and a deploy needs ${LEAST_BOOTSTRAP}.`,
          "npx cdk bootstrap",
        )
      : finding("bootstrap", "ok", `CDK's bootstrap stack has version ${version}.`);
  });

const stackFinding = (account: Account, stack: string, needed: boolean) =>
  unlessRefused("stack", `The stack ${stack}`, async () => {
    const outputs = await account.outputsOf(stack);
    if (outputs === null)
      return finding(
        "stack",
        needed ? "problem" : "none",
        `The stack ${stack} is not deployed there.`,
        "npx cdk deploy",
      );
    const missing = ["RunMachineArn", "ConsumerMachineArn", "TableName", "BucketName"].filter((name) => !outputs[name]);
    return missing.length === 0
      ? finding("stack", "ok", `The stack ${stack} is deployed; runs start at ${outputs.RunMachineArn}.`)
      : finding(
          "stack",
          "problem",
          `The stack ${stack} has no output ${missing.join(", ")}: another version's, or another stack.`,
          "npx cdk deploy",
        );
  });

async function quotaFindings(account: Account, projects: readonly ProjectConfig[]): Promise<Finding[]> {
  const vcpus = projects.reduce(
    (sum, { producer, executionQueue: { cpu, maxTasks } }) => sum + (producer.cpu + cpu * maxTasks) / 1024,
    0,
  );
  const quotas = [
    {
      check: "lambda",
      service: "lambda",
      code: "L-B99A9384",
      what: "concurrent Lambda functions",
      wanted: COMFORTABLE_CONCURRENCY,
      why: "runs of some hundred nodes call as many at once; fewer are throttled and called again",
    },
    {
      check: "fargate",
      service: "fargate",
      code: "L-3032A538",
      what: "vCPUs of Fargate on demand",
      wanted: vcpus,
      why: "all projects' tasks at once; what finds no room waits",
    },
    ...(projects.some(({ producer, executionQueue }) =>
      [producer, executionQueue].some(({ capacity }) => capacity !== "on_demand"),
    )
      ? [
          {
            check: "fargate-spot",
            service: "fargate",
            code: "L-36FBB829",
            what: "vCPUs of Fargate Spot",
            wanted: vcpus,
            why: "all projects' tasks at once; what finds no room waits",
          },
        ]
      : []),
  ];
  return Promise.all(
    quotas.map(({ check, service, code, what, wanted, why }) =>
      unlessRefused(check, `The quota of ${what}`, async () => {
        const value = await account.quota(service, code);
        if (value === null) return finding(check, "unknown", `The quota of ${what} is not told.`);
        return value < wanted
          ? finding(
              check,
              "warning",
              `The account has ${value} ${what}, and ${wanted} would be used (${why}).`,
              `Service Quotas, ${service}, ${code}: ask for ${Math.ceil(wanted)}.`,
            )
          : finding(check, "ok", `The account has ${value} ${what}.`);
      }),
    ),
  );
}
