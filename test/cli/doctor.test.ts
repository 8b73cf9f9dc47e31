import { mkdirSync, realpathSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { parseConfig, type StepwatchConfig } from "#core/config.ts";
import { doctorCommand } from "../../cli/commands/doctor.ts";
import type { Context } from "../../cli/context.ts";
import { type Account, examineAccount } from "../../cli/doctor/account.ts";
import type { Finding } from "../../cli/doctor/finding.ts";
import { examineProject } from "../../cli/doctor/project.ts";
import { loadConfig } from "../../infra/load-config.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

let folder: string;
beforeEach(() => {
  folder = realpathSync(temporaryFolder("doctor"));
});

function write(files: Record<string, string>): void {
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), text, { mode: 0o755 });
  }
}

const configOf = (project: Record<string, unknown> = {}): StepwatchConfig =>
  parseConfig({ projects: { shop: { projectDir: ".", ...project } } }, folder, resolve);

const PROJECT = {
  "dbt_project.yml": "name: shop\nprofile: shop\n",
  "profiles.yml": "shop: {target: dev, outputs: {dev: {type: postgres, host: h}}}",
};

const statesOf = (findings: readonly Finding[]) =>
  Object.fromEntries(findings.map(({ check, state }) => [check, state]));

const examine = (project: Record<string, unknown>, connection = false) =>
  examineProject(configOf(project).projects.shop!, { environment: { PATH: "" }, connection, deploy: "deploy" });

describe("a project", () => {
  test("whose files are not there is one problem, and nothing else is said of it", async () => {
    const findings = await examine({});
    expect(findings).toMatchObject([{ check: "profile:shop", state: "problem", area: "project" }]);
    expect(findings[0]?.sentence).toContain("there is no dbt_project.yml");
    write(PROJECT);
    const [finding] = await examine({ target: "prod" });
    expect(finding?.sentence).toContain("has no target prod; it has dev");
  });

  test("whose dbt is not installed yet can be deployed; one that lacks its adapter, or is too old, can not", async () => {
    write(PROJECT);
    expect(statesOf(await examine({ dbt: { packages: ["dbt-core==1.11.99", "dbt-postgres"] } }))).toEqual({
      "profile:shop": "ok",
      "dbt:shop": "none",
    });
    expect(statesOf(await examine({ dbt: { packages: ["dbt-core==1.7.1"] } }))["dbt:shop"]).toBe("problem");
    expect(statesOf(await examine({ dbt: { executable: "./no/dbt" } }))["dbt:shop"]).toBe("problem");
  });

  test("is told of variables, packages and files that its containers will lack", async () => {
    write({
      ...PROJECT,
      "profiles.yml":
        "shop: {target: dev, outputs: {dev: {type: postgres, password: \"{{ env_var('DBT_ENV_SECRET_PW') }}\", sslrootcert: /no/ca.pem}}}",
      "packages.yml": "packages: [{package: dbt-labs/dbt_utils, version: 1.3.0}]",
    });
    const findings = await examine({ dbt: { packages: ["dbt-core==1.11.97", "dbt-postgres"] } });
    const words = findings.map(({ sentence }) => sentence).join("\n");
    expect(words).toContain("DBT_ENV_SECRET_PW");
    expect(words).toContain("/no/ca.pem");
    expect(words).toContain("there is no dbt_packages");
    expect(findings.filter(({ state }) => state === "problem")).toEqual([]);
  });

  test("with --connection dbt itself says whether the warehouse answers, in its own words", async () => {
    const script = (end: string) =>
      `#!/bin/sh\nif [ "$1" = --version ]; then echo "installed: 1.11.16"; exit 0; fi\n${end}\n`;
    write({
      ...PROJECT,
      "bin/good": script("exit 0"),
      "bin/bad": script('echo "12:00:00  Database Error: no route to h"; exit 1'),
    });
    const good = await examine({ dbt: { executable: "./bin/good" } }, true);
    expect(statesOf(good)["connection:shop"]).toBe("ok");
    const bad = await examine({ dbt: { executable: "./bin/bad" } }, true);
    expect(bad.find(({ check }) => check === "connection:shop")).toMatchObject({
      state: "problem",
      sentence: "shop: dbt debug fails: Database Error: no route to h",
    });
  });
});

const refuse = (name: string, message: string) => async () => {
  throw Object.assign(new Error(message), { name });
};

const OUTPUTS = { RunMachineArn: "arn:run", ConsumerMachineArn: "arn:consumer", TableName: "t", BucketName: "b" };

const account = (overrides: Partial<Account> = {}): Account => ({
  identity: async () => ({ account: "123456789012", arn: "arn:aws:iam::123456789012:role/dev", region: "eu-west-1" }),
  outputsOf: async (name) => (name === "CDKToolkit" ? { BootstrapVersion: "28" } : OUTPUTS),
  quota: async (service) => (service === "lambda" ? 1000 : 10),
  ...overrides,
});

describe("an account", () => {
  const look = (overrides: Partial<Account>, options: { needed?: boolean } = {}) =>
    examineAccount(account(overrides), configOf(), { stack: "stepwatch", needed: options.needed ?? false });

  test("that has everything", async () => {
    expect(statesOf(await look({}))).toEqual({
      credentials: "ok",
      bootstrap: "ok",
      stack: "ok",
      lambda: "ok",
      fargate: "ok",
    });
  });

  test("that nobody is logged in to is fine for the embedded AWS, and a problem where a stack was named", async () => {
    const identity = refuse("CredentialsProviderError", "Could not load credentials");
    expect(await look({ identity })).toMatchObject([{ check: "credentials", state: "none" }]);
    expect(await look({ identity }, { needed: true })).toMatchObject([
      { state: "problem", remedy: expect.stringContaining("AWS_PROFILE") },
    ]);
  });

  test("without bootstrap, stack or room is told with the command that gives it", async () => {
    const findings = await look({ outputsOf: async () => null, quota: async () => 2 });
    expect(statesOf(findings)).toMatchObject({
      bootstrap: "warning",
      stack: "none",
      lambda: "warning",
      fargate: "warning",
    });
    expect(findings.find(({ check }) => check === "bootstrap")?.remedy).toBe("npx cdk bootstrap");
    // A producer and four tasks of the execution queue, one vCPU each.
    expect(findings.find(({ check }) => check === "fargate")?.sentence).toContain(
      "has 2 vCPUs of Fargate on demand, and 5 would be used",
    );
    expect(statesOf(await look({ outputsOf: async () => null }, { needed: true })).stack).toBe("problem");
  });

  test("whose stack is another version's is a problem; what may not be looked at is unknown", async () => {
    const { BucketName: _, ...older } = OUTPUTS;
    expect(statesOf(await look({ outputsOf: async () => older })).stack).toBe("problem");
    const denied = refuse("AccessDeniedException", "not authorized to perform: servicequotas:GetServiceQuota");
    expect(statesOf(await look({ quota: denied, outputsOf: denied }))).toEqual({
      credentials: "ok",
      bootstrap: "unknown",
      stack: "unknown",
      lambda: "unknown",
      fargate: "unknown",
    });
  });
});

describe("the command", () => {
  async function doctor(flags: Parameters<typeof doctorCommand>[1]) {
    const out: string[] = [];
    const context = {
      out: { write: (text: string) => out.push(text) },
      err: { write: () => true },
      environment: { PATH: process.env.PATH, STEPWATCH_STATE_DIR: join(folder, "state") },
      cwd: folder,
      loadConfig: () => loadConfig(join(folder, "stepwatch.yaml")),
    } as unknown as Context;
    const exitCode = await doctorCommand(context, flags, account());
    return { exitCode, out: out.join("") };
  }

  test("is 1 where a deploy would fail, with the remedy, and 0 where nothing would", async () => {
    const { exitCode, out } = await doctor({});
    expect(exitCode).toBe(1);
    expect(out).toContain("→ npx stepwatch init");
    write({ ...PROJECT, "stepwatch.yaml": "projects: {shop: {projectDir: ., target: prod}}" });
    const json = await doctor({ json: true });
    const { findings, healthy } = JSON.parse(json.out) as { findings: Finding[]; healthy: boolean };
    expect({ exitCode: json.exitCode, healthy }).toEqual({ exitCode: 1, healthy: false });
    expect(findings.filter(({ state }) => state === "problem").map(({ check }) => check)).toEqual(["profile:shop"]);
    write({
      "stepwatch.yaml": "projects: {shop: {projectDir: ., dbt: {packages: [dbt-core==1.11.98, dbt-postgres]}}}",
    });
    const well = await doctor({});
    expect(well.out).toContain("Nothing stands in the way.");
    expect(well.exitCode).toBe(0);
  });
});
