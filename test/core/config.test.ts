import { describe, expect, test } from "vitest";
import { parseConfig } from "../../core/config.ts";
import { policySchema } from "../../core/contracts/settings.ts";
import { InputError } from "../../core/errors.ts";

const resolve = (folder: string, path: string) => (path.startsWith("/") ? path : `${folder}/${path}`);
const parse = (value: unknown) => parseConfig(value, "/repo", resolve);
const withProject = (project: Record<string, unknown>, top: Record<string, unknown> = {}) => ({
  projects: { shop: { projectDir: "dbt", ...project } },
  ...top,
});

function problemsOf(value: unknown): readonly string[] {
  try {
    parse(value);
  } catch (error) {
    if (error instanceof InputError) return error.problems;
    throw error;
  }
  return [];
}

describe("an entry with a name and a project dir is enough", () => {
  const config = parse(withProject({}));
  const shop = config.projects.shop!;

  test("everything else has the defaults of the design", () => {
    expect(config).toMatchObject({ stackName: "stepwatch", pollIntervalSeconds: 5, vpc: {} });
    expect(shop).toMatchObject({
      name: "shop",
      projectDir: "/repo/dbt",
      profilesDir: "/repo/dbt",
      dbt: { packages: ["dbt-core==1.11.16", "dbt-duckdb==1.11.1"] },
      producer: { cpu: 1024, memoryMiB: 2048 },
      executionQueue: { cpu: 1024, memoryMiB: 2048, maxTasks: 4 },
      build: {},
      environment: {},
      secrets: {},
      image: { readOnly: false, buildSecrets: {} },
      logRetentionDays: 30,
    });
    expect(shop.policy).toEqual(policySchema.parse({}));
    expect(shop.dbt.executable).toBeUndefined();
  });

  test("G3: the execution queue takes the producer's size, as far as it has none of its own", () => {
    const sizes = (project: Record<string, unknown>) => parse(withProject(project)).projects.shop!.executionQueue;
    expect(sizes({ producer: { cpu: 2048, memoryMiB: 8192 } })).toEqual({
      cpu: 2048,
      memoryMiB: 8192,
      capacity: "on_demand",
      maxTasks: 4,
    });
    expect(
      sizes({ producer: { cpu: 2048, memoryMiB: 8192 }, executionQueue: { memoryMiB: 16_384, maxTasks: 1 } }),
    ).toEqual({ cpu: 2048, memoryMiB: 16_384, capacity: "on_demand", maxTasks: 1 });
  });
});

test("paths are relative to the file; a dbt without a slash is looked up on PATH", () => {
  const { shop } = parse(withProject({ profilesDir: "profiles", dbt: { executable: ".venv/bin/dbt" } })).projects;
  expect(shop).toMatchObject({ profilesDir: "/repo/profiles", dbt: { executable: "/repo/.venv/bin/dbt" } });
  expect(parse(withProject({ dbt: { executable: "dbtf" } })).projects.shop!.dbt.executable).toBe("dbtf");
});

test("numbers and booleans of the environment become text", () => {
  expect(parse(withProject({ environment: { A: 1, B: true, C: "x" } })).projects.shop!.environment).toEqual({
    A: "1",
    B: "true",
    C: "x",
  });
});

describe("each problem is one sentence with path and value", () => {
  test.each([
    [{}, "projects: is missing: it must be a mapping."],
    [{ projects: {} }, "projects = {}: names no project: an entry with a name and a projectDir is enough."],
    [null, "(top level) = null: is no mapping with projects: an entry there with a name and a projectDir is enough."],
    [{ projects: { shop: {} } }, "projects.shop.projectDir: is missing: it must be a text."],
    [
      { projects: { "a#b": { projectDir: "x" } } },
      "projects.a#b: is no project name: letters, digits, _ and -, a letter first, at most 63.",
    ],
    [withProject({}, { pollIntervalSeconds: 0 }), "pollIntervalSeconds = 0: must be at least 1."],
    [
      withProject({}, { stackName: "a_b" }),
      'stackName = "a_b": is no stack name: letters, digits and -, a letter first, at most 40.',
    ],
    [withProject({ threads: "many" }), 'projects.shop.threads = "many": must be a number.'],
    [withProject({ profileDir: "x" }), "projects.shop.profileDir: there is no such setting; did you mean profilesDir?"],
    [
      withProject({ policy: { retriess: 1 } }),
      "projects.shop.policy.retriess: there is no such setting; did you mean retries?",
    ],
    [
      withProject({ build: { fullrefresh: true } }),
      "projects.shop.build.fullrefresh: there is no such setting; did you mean fullRefresh?",
    ],
    [
      withProject({}, { vpc: { zones: [] } }),
      "vpc.zones: there is no such setting; known here: vpcId, subnetIds, securityGroupIds, assignPublicIp, availabilityZones, restrictDefaultSecurityGroup.",
    ],
    [
      withProject({ policy: { overlap: "wait" } }),
      'projects.shop.policy.overlap = "wait": must be one of queue, latest, skip, refuse.',
    ],
    [{ projects: [] }, "projects = []: must be a mapping (lines of the form key: value)."],
    [
      { projects: { shop: "../dbt" } },
      'projects.shop = "../dbt": is no project: an entry is a mapping, and a projectDir in it is enough.',
    ],
    [withProject({ projectDir: "" }), 'projects.shop.projectDir = "": must not be empty.'],
    [withProject({ threads: 1.5 }), "projects.shop.threads = 1.5: must be a whole number."],
    [withProject({ threads: 300 }), "projects.shop.threads = 300: must be at most 256."],
    [withProject({ dbt: { packages: "dbt-core" } }), 'projects.shop.dbt.packages = "dbt-core": must be a list.'],
    [withProject({ dbt: { packages: [] } }), "projects.shop.dbt.packages = []: must not be empty."],
    [
      withProject({ target: 5 }),
      "projects.shop.target = 5: must be a text (in quotes, if it looks like a number or a date).",
    ],
    [withProject({ build: { fullRefresh: "yes" } }), 'projects.shop.build.fullRefresh = "yes": must be true or false.'],
    [
      withProject({ environment: { A: [1] } }),
      "projects.shop.environment.A: must be a text, a number, or true or false.",
    ],
    [
      withProject({ policy: { recovery: "soon" } }),
      'projects.shop.policy.recovery = "soon": must be one of after, early.',
    ],
    [
      withProject({ policy: { holdSeconds: Number.POSITIVE_INFINITY } }),
      "projects.shop.policy.holdSeconds = Infinity: must be a number.",
    ],
    [
      withProject({ schedule: "rate(1 day)", scheduleTimeZone: "Berlin" }),
      /^projects\.shop\.scheduleTimeZone = "Berlin": is no time zone: write its IANA name/,
    ],
    [withProject({ schedule: "rate(1 day)", scheduleTimeZone: "+02:00" }), /is no time zone/],
    [withProject({ logRetentionDays: 31 }), /^projects\.shop\.logRetentionDays = 31: is none of 1, 3, 5/],
    [withProject({ schedule: "daily" }), /^projects\.shop\.schedule = "daily": is no cron/],
    [withProject({ scheduleTimeZone: "Europe/Berlin" }), /has no meaning without schedule/],
    [
      withProject({ policy: { lostAfterSeconds: 15 } }),
      "projects.shop.policy.lostAfterSeconds = 15: must be at least two heartbeats (20 s).",
    ],
    [
      withProject({ policy: { recovery: "early", backup: "end" } }),
      'projects.shop.policy.backup = "end": does not go with policy.recovery = early: nothing is known of a build before its end.',
    ],
    [
      withProject({ policy: { recovery: "early" }, build: { failFast: true } }),
      /^projects\.shop\.build\.failFast = true: does not go with policy\.recovery = early: dbt ends such a build/,
    ],
    [
      withProject({ producer: { cpu: 2048 } }),
      'projects.shop.producer = {"cpu":2048}: Fargate has no 2048 MiB with cpu 2048: use 4096 to 16384 MiB in steps of 1024.',
    ],
    [withProject({ producer: { cpu: 1000 } }), /^projects\.shop\.producer = .*: cpu 1000 is no Fargate size/],
    [
      withProject({ executionQueue: { memoryMiB: 1024 } }),
      /^projects\.shop\.executionQueue = .*: Fargate has no 1024 MiB with cpu 1024/,
    ],
    [
      withProject({ environment: { AWS_REGION: "x" } }),
      /^projects\.shop\.environment\.AWS_REGION: names that begin with/,
    ],
    [
      withProject({ image: { base: "python:3.12-slim" } }),
      /^projects\.shop\.image\.base = "python:3\.12-slim": names no digest: write the image as name@sha256:/,
    ],
    [
      withProject({ image: { uri: "ghcr.io/acme/dbt:main" } }),
      /^projects\.shop\.image\.uri = "ghcr\.io\/acme\/dbt:main": is a tag outside ECR, which can not be looked up/,
    ],
    [
      withProject({ image: { uri: "acme/dbt" } }),
      /^projects\.shop\.image\.uri = "acme\/dbt": names neither a digest nor/,
    ],
    [withProject({ image: { uri: "a b" } }), /^projects\.shop\.image\.uri = "a b": is no image/],
    [
      withProject({ image: { uri: `a@sha256:${"0".repeat(64)}`, buildSecrets: { A: "B" } } }),
      /^projects\.shop\.image\.buildSecrets = .*: has no meaning with uri/,
    ],
    [
      withProject({ image: { buildSecrets: { A: "$(cat x)" } } }),
      /^projects\.shop\.image\.buildSecrets\.A = "\$\(cat x\)": names neither a variable of the shell/,
    ],
    [withProject({ secrets: { PW: "a b" } }), /^projects\.shop\.secrets\.PW = "a b": is neither a secret's name/],
    [
      withProject({ environment: { PW: "x" }, secrets: { PW: "warehouse" } }),
      /^projects\.shop\.secrets\.PW = "warehouse": stands in environment too/,
    ],
    [
      withProject({ secrets: { PW: "warehouse-secret" } }),
      'projects.shop.secrets.PW = "warehouse-secret": ends in a hyphen and six characters, which ECS takes for the end of a complete ARN, so that it would not find the secret: name its ARN.',
    ],
    [withProject({ secrets: { PW: "team/db-AbC123:password" } }), /ends in a hyphen and six characters/],
    [withProject({ secrets: { PW: "etl-db_dev" } }), /ends in a hyphen and six characters/],
    [
      withProject({ kmsKeyArns: ["arn:aws:kms:eu-west-1:123456789012:key/1-2"] }),
      /^projects\.shop\.kmsKeyArns = .*: have no meaning without secrets/,
    ],
    [
      withProject({ secrets: { PW: "w" }, kmsKeyArns: ["arn:aws:kms:eu-west-1:123456789012:alias/mine"] }),
      /^projects\.shop\.kmsKeyArns\[0\] = .*: is no key's ARN/,
    ],
    [
      withProject({
        taskRole: { arn: "arn:aws:iam::123456789012:role/x", statements: [{ Action: "s3:GetObject", Resource: "*" }] },
      }),
      /^projects\.shop\.taskRole\.statements = .*: have no meaning with arn/,
    ],
    [withProject({ taskRole: { arn: "my-role" } }), /^projects\.shop\.taskRole\.arn = "my-role": is no role's ARN/],
    [
      withProject({ taskRole: { managedPolicies: ["AmazonS3ReadOnlyAccess"] } }),
      /^projects\.shop\.taskRole\.managedPolicies\[0\] = .*: is no policy's ARN/,
    ],
    [
      withProject({ taskRole: { statements: [{ Action: "GetObject", Resource: "*" }] } }),
      /^projects\.shop\.taskRole\.statements\[0\]\.Action/,
    ],
    [
      withProject({}, { data: { removal: "destroy", deletionProtection: true } }),
      'data.removal = "destroy": does not go with deletionProtection: true.',
    ],
    [withProject({}, { data: { kmsKeyArn: "alias/mine" } }), /^data\.kmsKeyArn = "alias\/mine": is no key's ARN/],
    [
      withProject({}, { deployment: { bootstrapQualifier: "My-Own" } }),
      /^deployment\.bootstrapQualifier = "My-Own": is no bootstrap qualifier/,
    ],
    [withProject({ producer: { capacity: "cheap" } }), /^projects\.shop\.producer\.capacity = "cheap": must be one of/],
    [
      withProject({ efs: { fileSystemId: "x", accessPointId: "fsap-0a1b2c3d" } }),
      /^projects\.shop\.efs\.fileSystemId = "x": is no file system's id/,
    ],
    [withProject({}, { tags: { "aws:team": "data" } }), /^tags\.aws:team.*: is no tag's key/],
    [withProject({}, { tags: { "stepwatch:run": "x" } }), /^tags\.stepwatch:run.*: begins with stepwatch:/],
    [withProject({}, { tags: { team: "data;x" } }), /^tags\.team = "data;x": is no tag's value/],
    [
      withProject({}, { vpc: { vpcId: "vpc-0a1b2c3d" } }),
      /^vpc\.vpcId = "vpc-0a1b2c3d": has no meaning without subnetIds/,
    ],
    [withProject({}, { vpc: { subnetIds: ["subnet-0a1b2c3d"] } }), /^vpc\.subnetIds = .*: need vpcId beside them/],
    [
      withProject({}, { vpc: { subnetIds: ["subnet-0a1b2c3d"], vpcId: "vpc-0a1b2c3d", availabilityZones: ["a"] } }),
      /subnets have their zones/,
    ],
  ])("%j", (value, problem) => {
    const problems = problemsOf(value);
    expect(problems).toHaveLength(1);
    if (typeof problem === "string") expect(problems[0]).toBe(problem);
    else expect(problems[0]).toMatch(problem);
  });

  test("D7: a dbt argument that would blind the reader is refused with the reason", () => {
    expect(problemsOf(withProject({ build: { extraArgs: ["--log-format", "text"] } }))).toEqual([
      expect.stringMatching(/^projects\.shop\.build\.extraArgs = .*--log-format/),
    ]);
  });

  test("all problems at once, and the value of a variable in none of them", () => {
    const problems = problemsOf({ stackname: "x", projects: { shop: { environment: { PASSWORD: ["hunter2"] } } } });
    expect(problems).toHaveLength(3);
    expect(problems.join()).not.toContain("hunter2");
  });
});

test.each([
  "warehouse",
  "warehouse:password",
  "warehouse-prod",
  "warehouse-abcdefg",
  "warehouse:pass-word",
  "arn:aws:secretsmanager:eu-west-1:123456789012:secret:warehouse-secret-AbCdEf",
  "team/warehouse",
  "/dbt/token",
  "arn:aws:secretsmanager:eu-west-1:123456789012:secret:w-AbCdEf:password::",
  "arn:aws:ssm:eu-west-1:123456789012:parameter/dbt/token",
])("%s is a reference to a secret", (reference) => {
  expect(parse(withProject({ secrets: { PW: reference } })).projects.shop!.secrets).toEqual({ PW: reference });
});

test("D16: an image by digest or by a tag of ECR, base images by digest; files of build secrets begin beside the file", () => {
  const digest = `sha256:${"a".repeat(64)}`;
  const uris = [`acme/dbt@${digest}`, "123456789012.dkr.ecr.eu-west-1.amazonaws.com/dbt:main"];
  for (const uri of uris) expect(parse(withProject({ image: { uri } })).projects.shop!.image.uri).toBe(uri);
  const image = { base: `python@${digest}`, node: `node:24@${digest}`, readOnly: true };
  const buildSecrets = { A: "TOKEN", B: "./b", C: "/c" };
  expect(parse(withProject({ image: { ...image, buildSecrets } })).projects.shop!.image).toEqual({
    ...image,
    buildSecrets: { A: "TOKEN", B: expect.stringMatching(/^\/.*\/b$/), C: "/c" },
  });
});
