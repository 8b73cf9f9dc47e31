/**
 * Names that the deployed resources have by themselves, so that links can be computed and permissions can be written
 * before the resource is there. All begin with the stack's name (at most 40 characters): two stacks share an account.
 */

/** The functions: each is a folder below functions/, a Lambda function and a state's work. */
export const FUNCTION_NAMES = ["start-run", "check-run", "watch-node", "settle-run"] as const;
export type FunctionName = (typeof FUNCTION_NAMES)[number];

/** The container of every task definition. */
export const CONTAINER_NAME = "dbt-runner";

/** Sizes of a project's tasks: the run's first build, and everything that recovers. */
export type TaskRole = "producer" | "queue";

export const deployedNames = {
  /** Lambda allows 64 characters. */
  lambdaFunction: (stackName: string, name: FunctionName) => `${stackName}-${name}`,
  /** Step Functions allows 80. */
  runMachine: (stackName: string) => `${stackName}-run`,
  consumerMachine: (stackName: string) => `${stackName}-consumer`,
  cluster: (stackName: string) => stackName,
  /** ECS allows 255; a project has at most 63. */
  taskFamily: (stackName: string, project: string, role: TaskRole) => `${stackName}-${project}-${role}`,
  projectLogGroup: (stackName: string, project: string) => `/stepwatch/${stackName}/${project}`,
  functionLogGroup: (stackName: string, name: FunctionName) => `/aws/lambda/${stackName}-${name}`,
  /** The prefix spares an entry in the account's log resource policy for each machine; that policy is limited. */
  machineLogGroup: (machineName: string) => `/aws/vendedlogs/states/${machineName}`,
} as const;
