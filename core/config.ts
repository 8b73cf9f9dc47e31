import { z } from "zod";
import { AWS_LIMITS } from "#core/aws-limits.ts";
import { alertKinds } from "#core/contracts/alerts.ts";
import { datesSchema } from "#core/contracts/date-settings.ts";
import { policyOfRun, runPolicySchema } from "#core/contracts/run-policy.ts";
import {
  type Capacity,
  capacities,
  type Policy,
  policySchema,
  type TaskSize,
  taskSizeSchema,
} from "#core/contracts/settings.ts";
import { type BuildOptions, buildOptionsSchema, checkExtraArgs, DbtFlagRefused } from "#core/dbt/argv.ts";
import { ignoredSelection, optionsOver, windowLosesRows } from "#core/dbt/options-over.ts";
import { InputError } from "#core/errors.ts";
import { imageSchema } from "#core/image-settings.ts";
import { parseInput } from "#core/input-problems.ts";
import { type JobConfig, jobsSchema } from "#core/job-settings.ts";
import { PROJECT_NAME } from "#core/names.ts";
import { earlyBackupRefused, earlyRefused } from "#core/run/deciding/early-refusal.ts";
import { scheduleSchema, timeZoneSchema } from "#core/schedule/schedule-settings.ts";
import { ownStackProblems, startAfterSchema, startProblems, startsAfterProject } from "#core/start-after.ts";
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

/** Tags that stand beside the four of each task, within ECS' fifty. */
const MOST_TAGS = AWS_LIMITS.tags - 10;

const tagsSchema = z
  .record(
    z
      .string()
      .min(1)
      .max(AWS_LIMITS.tagKeyCharacters)
      .regex(
        /^(?!aws:)[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/iu,
        "is no tag's key: letters, digits, spaces and _.:/=+-@, not aws: first.",
      )
      .refine((key) => !key.startsWith("stepwatch:"), "begins with stepwatch:, which names stepwatch's own tags."),
    z
      .string()
      .max(AWS_LIMITS.tagValueCharacters)
      .regex(/^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u, "is no tag's value: letters, digits, spaces and _.:/=+-@."),
  )
  .refine((tags) => Object.keys(tags).length <= MOST_TAGS, `are more than ${MOST_TAGS}: AWS takes fifty in all.`);

/** What ECS takes for a complete ARN in `…:secret:<name>`: what Secrets Manager adds to a name has this form. */
const LOOKS_COMPLETE = /-[\w/+=.@-]{6}$/;

/**
 * `name` or `name:field` of a Secrets Manager secret, `/path/name` of an SSM parameter, or the ARN of either.
 * What names nothing (an empty text, a space) is refused here; whether it exists is known only when a task starts.
 */
const secretReferenceSchema = z
  .string()
  .regex(
    /^(arn:[\w-]+:(secretsmanager|ssm):\S+|\/[\w./-]+|[\w/+=.@-]+(:[\w.-]+)?)$/,
    "is neither a secret's name (name or name:field), nor an SSM parameter's (/path/name), nor the ARN of one.",
  )
  .refine(
    (reference) => /^(arn:|\/)/.test(reference) || !LOOKS_COMPLETE.test(reference.split(":")[0] ?? ""),
    "ends in a hyphen and six characters, which ECS takes for the end of a complete ARN, so that it would not find the secret: name its ARN.",
  );

const kmsKeyArnSchema = z
  .string()
  .regex(/^arn:[\w-]+:kms:[\w-]+:\d{12}:key\/[\w-]+$/, "is no key's ARN (arn:aws:kms:…:key/…); an alias is none.");

const policyArnSchema = z
  .string()
  .regex(/^arn:[\w-]+:iam::(aws|\d{12}):policy\/[\w+=,.@/-]+$/, "is no policy's ARN (arn:aws:iam::…:policy/…).");

const oneOrMore = (item: z.ZodString) => z.union([item, z.array(item).min(1)]);

/** A statement as IAM itself writes it, so that one can be copied from any policy. */
const statementSchema = z.strictObject({
  Sid: z
    .string()
    .regex(/^[A-Za-z0-9]+$/, "is no Sid: letters and digits.")
    .optional(),
  Effect: z.enum(["Allow", "Deny"]).default("Allow"),
  Action: oneOrMore(z.string().regex(/^(\*|[a-z0-9-]+:[A-Za-z0-9*?]+)$/, "is no action of IAM (service:Action).")),
  Resource: oneOrMore(z.string().regex(/^(\*|arn:\S+)$/, 'is no resource of IAM (an ARN, or "*").')),
  Condition: z.record(z.string(), z.record(z.string(), z.union([z.string(), z.array(z.string())]))).optional(),
});

const taskRoleSchema = z
  .strictObject({
    /** A role of the account; stepwatch's own rights are attached to it as a policy. */
    arn: z
      .string()
      .regex(/^arn:[\w-]+:iam::\d{12}:role\/[\w+=,.@/-]+$/, "is no role's ARN (arn:aws:iam::…:role/…).")
      .optional(),
    /** IAM attaches ten to a role. */
    managedPolicies: z.array(policyArnSchema).max(10).default([]),
    statements: z.array(statementSchema).max(50).default([]),
  })
  .superRefine(({ arn, managedPolicies, statements }, context) => {
    for (const [field, value] of Object.entries({ managedPolicies, statements }))
      if (arn !== undefined && value.length > 0)
        context.addIssue({
          code: "custom",
          path: [field],
          message: "have no meaning with arn: what that role may do is its owner's to say.",
        });
  });

const deploymentSchema = z.strictObject({
  /** Of the CDK bootstrap stack, where it is not CDK's own. */
  bootstrapQualifier: z
    .string()
    .regex(/^[a-z0-9]{1,10}$/, "is no bootstrap qualifier: lower-case letters and digits, at most ten.")
    .optional(),
  /** Of every role that is made: a policy's ARN, or its name in the account. */
  permissionsBoundary: z
    .string()
    .regex(/^(arn:[\w-]+:iam::(aws|\d{12}):policy\/)?[\w+=,.@/-]+$/, "is neither a policy's ARN nor its name.")
    .optional(),
  /** `create` in an account that has never had an ECS cluster; it fails where the role is there. */
  ecsServiceLinkedRole: z.enum(["existing", "create"]).default("existing"),
});

const dataSchema = z
  .strictObject({
    /** Whether table and bucket stay when the stack is deleted. */
    removal: z.enum(["retain", "destroy"]).default("retain"),
    /** The table can not be deleted at all, by anybody, until this is taken back. */
    deletionProtection: z.boolean().default(false),
    /** A key of one's own for table, bucket, logs and queue; its policy must let CloudWatch Logs use it. */
    kmsKeyArn: kmsKeyArnSchema.optional(),
  })
  .superRefine(({ removal, deletionProtection }, context) => {
    if (removal === "destroy" && deletionProtection)
      context.addIssue({ code: "custom", path: ["removal"], message: "does not go with deletionProtection: true." });
  });

const efsSchema = z.strictObject({
  fileSystemId: z.string().regex(/^fs-[0-9a-f]{8,40}$/, "is no file system's id (fs-…)."),
  /** Its user and folder are what dbt writes as: the container's own user may not write an empty file system. */
  accessPointId: z.string().regex(/^fsap-[0-9a-f]{8,40}$/, "is no access point's id (fsap-…)."),
  /** Folder in the container. */
  mountPath: z
    .string()
    .regex(/^\/(mnt|data|efs|srv)(\/[\w.-]+)*$/, "is no folder below /mnt, /data, /efs or /srv.")
    .default("/mnt/efs"),
});

const capacitySchema = z.enum(capacities);

const scalarTextSchema = z.union([z.string(), z.number(), z.boolean()]).transform(String);

/** What an entry or a whole file is told that is no mapping; its other complaints have their own words. */
const unlessMapping = (sentence: string) => ({
  error: (issue: z.core.$ZodRawIssue) => (issue.code === "invalid_type" ? sentence : undefined),
});

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
      image: imageSchema.prefault({}),
      build: buildOptionsSchema.prefault({}),
      producer: taskSizeSchema.extend({ capacity: capacitySchema.default("on_demand") }).prefault({}),
      executionQueue: z
        .strictObject({
          cpu: taskSizeSchema.shape.cpu.unwrap().optional(),
          memoryMiB: taskSizeSchema.shape.memoryMiB.unwrap().optional(),
          /** Unset: the producer's. */
          capacity: capacitySchema.optional(),
          /** Tasks of the execution queue that may run at once; 1 for a warehouse with a single writer. */
          maxTasks: z.int().min(1).max(100).default(4),
        })
        .prefault({}),
      policy: policySchema.prefault({}),
      environment: z.record(variableNameSchema, scalarTextSchema).default({}),
      /** What dbt's containers may do in AWS, beside what stepwatch needs. */
      taskRole: taskRoleSchema.prefault({}),
      secrets: z.record(variableNameSchema, secretReferenceSchema).default({}),
      /** Keys of one's own that the secrets are encrypted with. */
      kmsKeyArns: z.array(kmsKeyArnSchema).max(20).default([]),
      /** A file system of one's own that tasks mount: a DuckDB or SQLite file there outlives them. */
      efs: efsSchema.optional(),
      /** `cron(…)`, `rate(…)` or `at(…)` of EventBridge Scheduler. */
      schedule: scheduleSchema.optional(),
      /** IANA name, for example Europe/Berlin; unset: UTC. */
      scheduleTimeZone: timeZoneSchema.optional(),
      /** What a run of the project follows, beside the clock. */
      startAfter: startAfterSchema.optional(),
      /** How the scheduled time of a run reaches dbt. */
      dates: datesSchema.optional(),
      /** Other ways to run the project, by name. */
      jobs: jobsSchema,
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
    if (project.kmsKeyArns.length > 0 && Object.keys(project.secrets).length === 0)
      complain(["kmsKeyArns"], "have no meaning without secrets, which they decrypt.");
    const refused = refusedExtraArgs(project.build.extraArgs);
    if (refused !== null) complain(["build", "extraArgs"], refused);
    const ignored = ignoredSelection(project.build);
    if (ignored !== null) complain(["build"], ignored);
    const loses = windowLosesRows(project.build);
    if (loses !== null) complain(["build"], loses);
    const early = earlyRefused(project.policy, project.build);
    if (early !== null) complain(["build", "failFast"], early);
    const backup = earlyBackupRefused(project.policy);
    if (backup !== null) complain(["policy", "backup"], backup);
    if (project.policy.lostAfterSeconds < 2 * project.policy.heartbeatSeconds) {
      complain(
        ["policy", "lostAfterSeconds"],
        `must be at least two heartbeats (${2 * project.policy.heartbeatSeconds} s).`,
      );
    }
    if (project.scheduleTimeZone !== undefined && project.schedule === undefined) {
      complain(["scheduleTimeZone"], "has no meaning without schedule.");
    }
    const variable = project.dates?.variable;
    if (variable !== undefined && Object.hasOwn(project.build.vars ?? {}, variable))
      complain(["dates", "variable"], "stands in build.vars too, which would go before it: keep one of them.");
    for (const [name, job] of Object.entries(project.jobs))
      for (const [path, message] of jobProblems(project, job)) complain(["jobs", name, ...path], message);
  });

/** What a job of a project can not be, by its options and policy over the project's. */
function jobProblems(project: JobBase, job: JobConfig): (readonly [PropertyKey[], string])[] {
  // A field that is wrong by itself has its own sentence.
  if (!policySchema.safeParse(project.policy).success || !runPolicySchema.safeParse(job.policy).success) return [];
  const options = optionsOver(project.build, job.build);
  const policy = policyOfRun(project.policy, job.policy, Number.POSITIVE_INFINITY);
  const problems = [
    [["build", "extraArgs"], refusedExtraArgs(job.build.extraArgs)],
    [["build"], ignoredSelection(options)],
    [["build"], windowLosesRows(options)],
    [["build", "failFast"], earlyRefused(policy, options)],
    [["policy", "backup"], earlyBackupRefused(policy)],
  ] as const;
  return problems.flatMap(([path, message]) => (message === null ? [] : [[[...path], message] as const]));
}

type JobBase = { readonly build: BuildOptions; readonly policy: Policy };

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
    /** Of stepwatch's own network: no rule is left in the group that AWS gives to what names none. */
    restrictDefaultSecurityGroup: z.boolean().default(true),
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

const eventsSchema = z.strictObject({
  /** `all`: what happens to runs and nodes, as it happens. `warnings`: those alone, and no function is made for it. */
  publish: z.enum(["all", "warnings"]).default("all"),
  /** An event for each table that is built. */
  datasets: z.boolean().default(true),
});

const topicArnSchema = z
  .string()
  .regex(/^arn:[\w-]+:sns:[\w-]+:\d{12}:[\w-]+$/, "is no ARN of an SNS topic (arn:aws:sns:<region>:<account>:<name>).");

/** Read at run time by one function, never written into a template or an environment. */
const webhookSchema = z.strictObject({
  webhookSecret: secretReferenceSchema.refine(
    (reference) => !/^(\/|arn:[\w-]+:ssm:)/.test(reference),
    "is a parameter: keep the webhook's address in Secrets Manager (name, name:field, or its ARN).",
  ),
});

const alertsSchema = z
  .strictObject({
    snsTopicArn: topicArnSchema.optional(),
    email: z.email("is no e-mail address.").optional(),
    slack: webhookSchema.optional(),
    teams: webhookSchema.optional(),
    on: z.array(z.enum(alertKinds)).min(1).default(["failed", "recovered"]),
    /** After so many hours what still fails for the same cause is told again. */
    repeatHours: z.number().min(1).max(720).default(24),
    /** Keys of one's own that the webhooks' secrets are encrypted with. */
    kmsKeyArns: z.array(kmsKeyArnSchema).max(20).default([]),
  })
  .superRefine(({ snsTopicArn, email, slack, teams }, context) => {
    if (snsTopicArn !== undefined && email !== undefined)
      context.addIssue({
        code: "custom",
        message: "names both snsTopicArn and email: an address gets a topic of its own.",
      });
    if ([snsTopicArn, email, slack, teams].every((channel) => channel === undefined))
      context.addIssue({ code: "custom", message: "names nobody to tell: snsTopicArn, email, slack or teams." });
  });

const openLineageSchema = z.strictObject({
  /** Where events are posted: the whole address, such as https://marquez.example.com/api/v1/lineage. */
  url: z
    .url({ protocol: /^https?$/, error: "is no address of a lineage service (https://…/api/v1/lineage)." })
    .refine(
      (url) => /^https:|^http:\/\/(127\.0\.0\.1|localhost|\[::1\])[:/]/.test(url),
      "is not https: events would be read on their way.",
    )
    .refine(
      (url) => !/^https?:\/\/[^/?#]*@/.test(url),
      "holds a user or password, which would stand in the template: a token belongs into apiKeySecret.",
    ),
  /** Of jobs. */
  namespace: z.string().min(1).max(200),
  /** Holds a bearer token. */
  apiKeySecret: webhookSchema.shape.webhookSecret.optional(),
  /** Namespaces of datasets, by project; unset: as the project's profile says, where it says it without a template. */
  warehouses: z.record(z.string(), z.string().min(1).max(200)).default({}),
});

/** `stepwatch.yaml`. */
const alarmsSchema = z
  .strictObject({
    topicArn: topicArnSchema.optional(),
    email: z.email("is no e-mail address.").optional(),
  })
  .refine(
    ({ topicArn, email }) => (topicArn === undefined) !== (email === undefined),
    "names whom to tell: one of topicArn and email.",
  );

export const configSchema = z.strictObject(
  {
    stackName: z
      .string()
      .regex(/^[A-Za-z][A-Za-z0-9-]{0,39}$/, "is no stack name: letters, digits and -, a letter first, at most 40.")
      .default("stepwatch"),
    /** Whether changes of the ledger end the waits of a run and its consumers, or each looks for itself every few seconds. */
    watch: z.enum(["wake", "poll"]).default("wake"),
    /** Seconds between two looks of a run or a consumer that polls. */
    pollIntervalSeconds: z.int().min(1).max(300).default(5),
    projects: z
      .record(
        z.string().regex(PROJECT_NAME, "is no project name: letters, digits, _ and -, a letter first, at most 63."),
        projectSchema,
      )
      .refine(
        (projects) => Object.keys(projects).length > 0,
        "names no project: an entry with a name and a projectDir is enough.",
      )
      .superRefine((projects, context) => {
        for (const [[, ...path], message] of startProblems(projects))
          context.addIssue({ code: "custom", path, message });
      }),
    vpc: vpcSchema.prefault({}),
    /** How the stack is deployed into an account with rules of its own. */
    deployment: deploymentSchema.prefault({}),
    /** What becomes of the ledger and the artefacts. */
    data: dataSchema.prefault({}),
    /** Of every resource and task, for the cost report and for rules of one's own. */
    tags: tagsSchema.default({}),
    /** What is published to EventBridge beside warnings: docs/events.md. */
    events: eventsSchema.prefault({}),
    /** Whom alarms tell: an SNS topic of one's own, or an address that gets one. Unset: no alarms are made. */
    alarms: alarmsSchema.optional(),
    /** Whom a run's failures and recoveries are told, node by node: docs/alerts.md. */
    alerts: alertsSchema.optional(),
    /** A service that is told of runs and tables by OpenLineage: docs/events.md. */
    openLineage: openLineageSchema.optional(),
    /** A CloudWatch dashboard of the stack. */
    dashboard: z.boolean().default(false),
  },
  unlessMapping("is no mapping with projects: an entry there with a name and a projectDir is enough."),
);

/** What stepwatch.yaml may say, as a value: for a CDK app that has its settings in its own code. */
export type StepwatchSettings = z.input<typeof configSchema>;

/** A project of stepwatch.yaml with every default filled in and its paths absolute. */
export interface ProjectConfig extends Omit<z.infer<typeof projectSchema>, "executionQueue" | "profilesDir"> {
  readonly name: string;
  readonly profilesDir: string;
  readonly executionQueue: TaskSize & { readonly maxTasks: number; readonly capacity: Capacity };
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
        image: { ...project.image, buildSecrets: withPaths(project.image.buildSecrets, folder, resolvePath) },
        dbt: { packages, ...(executable && { executable: isPath ? resolvePath(folder, executable) : executable }) },
        executionQueue: {
          ...project.producer,
          ...definedSize(project.executionQueue),
          capacity: project.executionQueue.capacity ?? project.producer.capacity,
          maxTasks: project.executionQueue.maxTasks,
        },
      },
    ] as const;
  });
  const ownStack = ownStackProblems(config.projects, config.stackName);
  if (ownStack.length > 0) throw new InputError("stepwatch.yaml refused", ownStack);
  if (startsAfterProject(config.projects) && config.events.publish !== "all")
    throw new InputError("stepwatch.yaml refused", [
      'events.publish = "warnings": startAfter of a project hears of the ends of its runs: leave it at all.',
    ]);
  if (config.openLineage !== undefined && !(config.events.publish === "all" && config.events.datasets))
    throw new InputError("stepwatch.yaml refused", [
      "openLineage: it is made of the events of runs and datasets: leave events.publish at all and events.datasets at true.",
    ]);
  if (config.alerts !== undefined && config.events.publish !== "all")
    throw new InputError("stepwatch.yaml refused", [
      'events.publish = "warnings": alerts are made of the events of runs: leave it at all, or leave alerts out.',
    ]);
  return { ...config, projects: Object.fromEntries(projects) };
}

/** Files among the sources of build secrets begin where stepwatch.yaml lies. */
const withPaths = (
  sources: Readonly<Record<string, string>>,
  folder: string,
  resolvePath: (folder: string, path: string) => string,
) =>
  Object.fromEntries(
    Object.entries(sources).map(([name, source]) => [
      name,
      /^[./]/.test(source) ? resolvePath(folder, source) : source,
    ]),
  );

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
