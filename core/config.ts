import { z } from "zod";
import { policySchema, type TaskSize, taskSizeSchema } from "#core/contracts/settings.ts";
import { buildOptionsSchema, checkExtraArgs, DbtFlagRefused } from "#core/dbt/argv.ts";
import { parseInput } from "#core/input-problems.ts";
import { PROJECT_NAME } from "#core/names.ts";
import { taskSizeProblem } from "#core/task-size.ts";

/** dbt and its adapter as the example and the tests use them; a project for another warehouse names its own. */
export const DEFAULT_DBT_PACKAGES = ["dbt-core==1.11.16", "dbt-duckdb==1.11.1"];

/** Retention periods that CloudWatch Logs knows, in days. */
const LOG_RETENTION_DAYS = [
  1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
];

/** Variables that stepwatch, AWS and ECS set themselves in the container. */
const RESERVED_VARIABLE = /^(STEPWATCH|AWS|ECS)_/;

const variableNameSchema = z
  .string()
  .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, "is no name of an environment variable (letters, digits and _).")
  .refine(
    (name) => !RESERVED_VARIABLE.test(name),
    "names that begin with STEPWATCH_, AWS_ or ECS_ are set by stepwatch and AWS.",
  );

/**
 * `name` or `name:field` of a Secrets Manager secret, `/path/name` of an SSM parameter, or the ARN of either.
 * What names nothing (an empty text, a space) is refused here; whether it exists is known only when a task starts.
 */
const secretReferenceSchema = z
  .string()
  .regex(
    /^(arn:[\w-]+:(secretsmanager|ssm):\S+|\/[\w./-]+|[\w/+=.@-]+(:[\w.-]+)?)$/,
    "is neither a secret's name (name or name:field), nor an SSM parameter's (/path/name), nor the ARN of one.",
  );

const scalarTextSchema = z.union([z.string(), z.number(), z.boolean()]).transform(String);

/** What an entry or a whole file is told that is no mapping; its other complaints have their own words. */
const unlessMapping = (sentence: string) => ({
  error: (issue: z.core.$ZodRawIssue) => (issue.code === "invalid_type" ? sentence : undefined),
});

/** Whether EventBridge Scheduler would take it: a name of the IANA list. Offsets such as +02:00 are none. */
function isTimeZone(name: string): boolean {
  if (!/^[A-Za-z]/.test(name)) return false;
  try {
    new Intl.DateTimeFormat("en", { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

const projectSchema = z
  .strictObject(
    {
      /** Folder of dbt_project.yml, relative to stepwatch.yaml. */
      projectDir: z.string().min(1),
      /** Folder of profiles.yml; the project's own folder if unset. */
      profilesDir: z.string().min(1).optional(),
      target: z.string().min(1).optional(),
      threads: z.int().min(1).max(256).optional(),
      dbt: z
        .strictObject({
          /** dbt for local runs, as a path or a name on PATH; unset: the environment that `packages` describes. */
          executable: z.string().min(1).optional(),
          /** Requirements for pip: dbt and its adapter. */
          packages: z.array(z.string().min(1)).min(1).default(DEFAULT_DBT_PACKAGES),
        })
        .prefault({}),
      build: buildOptionsSchema.prefault({}),
      producer: taskSizeSchema.prefault({}),
      executionQueue: z
        .strictObject({
          cpu: taskSizeSchema.shape.cpu.unwrap().optional(),
          memoryMiB: taskSizeSchema.shape.memoryMiB.unwrap().optional(),
          /** Tasks of the execution queue that may run at once; 1 for a warehouse with a single writer. */
          maxTasks: z.int().min(1).max(100).default(4),
        })
        .prefault({}),
      policy: policySchema.prefault({}),
      environment: z.record(variableNameSchema, scalarTextSchema).default({}),
      secrets: z.record(variableNameSchema, secretReferenceSchema).default({}),
      /** `cron(…)`, `rate(…)` or `at(…)` of EventBridge Scheduler. */
      schedule: z
        .string()
        .regex(/^(cron|rate|at)\(.+\)$/, "is no cron(…), rate(…) or at(…) expression of EventBridge Scheduler.")
        .optional(),
      /** IANA name, for example Europe/Berlin; unset: UTC. */
      scheduleTimeZone: z
        .string()
        .refine(isTimeZone, "is no time zone: write its IANA name, for example Europe/Berlin.")
        .optional(),
      logRetentionDays: z
        .int()
        .default(30)
        .refine((days) => LOG_RETENTION_DAYS.includes(days), `is none of ${LOG_RETENTION_DAYS.join(", ")}.`),
    },
    unlessMapping("is no project: an entry is a mapping, and a projectDir in it is enough."),
  )
  .superRefine((project, context) => {
    const complain = (path: PropertyKey[], message: string) => context.addIssue({ code: "custom", path, message });
    for (const size of ["producer", "executionQueue"] as const) {
      const problem = taskSizeProblem({ ...project.producer, ...definedSize(project[size]) });
      if (problem !== null && (size === "producer" || hasSize(project.executionQueue))) complain([size], problem);
    }
    for (const name of Object.keys(project.secrets)) {
      if (name in project.environment) complain(["secrets", name], "stands in environment too: keep one of them.");
    }
    const refused = refusedExtraArgs(project.build.extraArgs);
    if (refused !== null) complain(["build", "extraArgs"], refused);
    if (project.policy.lostAfterSeconds < 2 * project.policy.heartbeatSeconds) {
      complain(
        ["policy", "lostAfterSeconds"],
        `must be at least two heartbeats (${2 * project.policy.heartbeatSeconds} s).`,
      );
    }
    if (project.scheduleTimeZone !== undefined && project.schedule === undefined) {
      complain(["scheduleTimeZone"], "has no meaning without schedule.");
    }
  });

const vpcSchema = z
  .strictObject({
    vpcId: z
      .string()
      .regex(/^vpc-[0-9a-f]{8,17}$/, "is no VPC id (vpc-…).")
      .optional(),
    subnetIds: z
      .array(z.string().regex(/^subnet-[0-9a-f]{8,17}$/, "is no subnet id (subnet-…)."))
      .min(1)
      .optional(),
    securityGroupIds: z
      .array(z.string().regex(/^sg-[0-9a-f]{8,17}$/, "is no security group id (sg-…)."))
      .min(1)
      .optional(),
    /** Only with subnets of one's own: whether tasks there get a public address. Needed where there is no NAT. */
    assignPublicIp: z.boolean().optional(),
    /** Zones of stepwatch's own network; unset: the region's first two. */
    availabilityZones: z.array(z.string().min(1)).min(1).max(6).optional(),
  })
  .superRefine((vpc, context) => {
    const complain = (field: string, message: string) => context.addIssue({ code: "custom", path: [field], message });
    if (vpc.subnetIds === undefined) {
      for (const field of ["vpcId", "securityGroupIds", "assignPublicIp"] as const) {
        if (vpc[field] !== undefined)
          complain(field, "has no meaning without subnetIds: name the subnets of the tasks.");
      }
    } else {
      if (vpc.availabilityZones !== undefined)
        complain("availabilityZones", "has no meaning with subnetIds: subnets have their zones.");
      if (vpc.vpcId === undefined && vpc.securityGroupIds === undefined) {
        complain("subnetIds", "need vpcId beside them (a security group is made there), or securityGroupIds.");
      }
    }
  });

/** `stepwatch.yaml`. */
export const configSchema = z.strictObject(
  {
    stackName: z
      .string()
      .regex(/^[A-Za-z][A-Za-z0-9-]{0,39}$/, "is no stack name: letters, digits and -, a letter first, at most 40.")
      .default("stepwatch"),
    /** Seconds between two looks of a run or a consumer that nothing woke. */
    pollIntervalSeconds: z.int().min(1).max(300).default(5),
    projects: z
      .record(
        z.string().regex(PROJECT_NAME, "is no project name: letters, digits, _ and -, a letter first, at most 63."),
        projectSchema,
      )
      .refine(
        (projects) => Object.keys(projects).length > 0,
        "names no project: an entry with a name and a projectDir is enough.",
      ),
    vpc: vpcSchema.prefault({}),
  },
  unlessMapping("is no mapping with projects: an entry there with a name and a projectDir is enough."),
);

/** A project of stepwatch.yaml with every default filled in and its paths absolute. */
export interface ProjectConfig extends Omit<z.infer<typeof projectSchema>, "executionQueue" | "profilesDir"> {
  readonly name: string;
  readonly profilesDir: string;
  readonly executionQueue: TaskSize & { readonly maxTasks: number };
}

export interface StepwatchConfig extends Omit<z.infer<typeof configSchema>, "projects"> {
  readonly projects: Readonly<Record<string, ProjectConfig>>;
}

/**
 * Validates stepwatch.yaml.
 * @param value the parsed YAML.
 * @param folder the file's folder; relative paths start there.
 * @param resolvePath joins folder and path, as `node:path` does it.
 * @throws {InputError} with one sentence per problem.
 */
export function parseConfig(
  value: unknown,
  folder: string,
  resolvePath: (folder: string, path: string) => string,
): StepwatchConfig {
  const config = parseInput("stepwatch.yaml refused", configSchema, value);
  const projects = Object.entries(config.projects).map(([name, project]) => {
    const { executable, packages } = project.dbt;
    const isPath = executable?.includes("/") ?? false;
    return [
      name,
      {
        ...project,
        name,
        projectDir: resolvePath(folder, project.projectDir),
        profilesDir: resolvePath(folder, project.profilesDir ?? project.projectDir),
        dbt: { packages, ...(executable && { executable: isPath ? resolvePath(folder, executable) : executable }) },
        executionQueue: {
          ...project.producer,
          ...definedSize(project.executionQueue),
          maxTasks: project.executionQueue.maxTasks,
        },
      },
    ] as const;
  });
  return { ...config, projects: Object.fromEntries(projects) };
}

type PartialSize = { cpu?: number | undefined; memoryMiB?: number | undefined };

const hasSize = (size: PartialSize) => size.cpu !== undefined || size.memoryMiB !== undefined;

const definedSize = ({ cpu, memoryMiB }: PartialSize) => ({
  ...(cpu !== undefined && { cpu }),
  ...(memoryMiB !== undefined && { memoryMiB }),
});

function refusedExtraArgs(extraArgs: readonly string[] | undefined): string | null {
  if (extraArgs === undefined) return null;
  try {
    checkExtraArgs(extraArgs);
    return null;
  } catch (error) {
    if (error instanceof DbtFlagRefused) return error.message;
    throw error;
  }
}
