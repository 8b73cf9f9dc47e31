import { projectLogGroup } from "#core/names.ts";

/**
 * Names that the deployed resources have by themselves, so that links can be computed and permissions can be written
 * before the resource is there. All begin with the stack's name (at most 40 characters): two stacks share an account.
 */

/** The functions that runs need: each is a folder below functions/ and a Lambda function; all but stop-run and wake are a state's work. */
export const RUN_FUNCTIONS = ["start-run", "check-run", "watch-node", "settle-run", "stop-run", "wake"] as const;

/** Those that tell others of runs: each is made where stepwatch.yaml asks for it. */
export const TELLING_FUNCTIONS = ["publish", "alert", "lineage"] as const;

/** All of them. */
export const FUNCTION_NAMES = [...RUN_FUNCTIONS, ...TELLING_FUNCTIONS] as const;
export type FunctionName = (typeof FUNCTION_NAMES)[number];
export type TellingFunction = (typeof TELLING_FUNCTIONS)[number];

/** The container of every task definition. */
export const CONTAINER_NAME = "dbt-runner";

/** Sizes of a project's tasks: the run's first build, and everything that recovers. */
export const TASK_ROLES = ["producer", "queue"] as const;
export type TaskRole = (typeof TASK_ROLES)[number];

export const deployedNames = {
  /** Lambda allows 64 characters. */
  lambdaFunction: (stackName: string, name: FunctionName) => `${stackName}-${name}`,
  /** Step Functions allows 80. */
  runMachine: (stackName: string) => `${stackName}-run`,
  consumerMachine: (stackName: string) => `${stackName}-consumer`,
  backfillMachine: (stackName: string) => `${stackName}-backfill`,
  cluster: (stackName: string) => stackName,
  /** ECS allows 255; a project has at most 63. */
  taskFamily: (stackName: string, project: string, role: TaskRole) => `${stackName}-${project}-${role}`,
  /** Families of all projects, one pattern a size: a policy that names each family would grow with the projects. */
  taskFamilyPattern: (stackName: string, role: TaskRole) => `${stackName}-*-${role}`,
  /** Path of the roles of all projects' tasks, so that check-run's right to pass them is one line. */
  taskRolePath: (stackName: string) => `/stepwatch/${stackName}/`,
  projectLogGroup,
  functionLogGroup: (stackName: string, name: FunctionName) => `/aws/lambda/${stackName}-${name}`,
  /** The prefix spares an entry in the account's log resource policy for each machine; that policy is limited. */
  machineLogGroup: (machineName: string) => `/aws/vendedlogs/states/${machineName}`,
} as const;
