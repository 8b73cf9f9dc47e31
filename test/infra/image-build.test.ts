import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { App, CfnWaitConditionHandle, Stack } from "aws-cdk-lib";
import { DockerImageAsset } from "aws-cdk-lib/aws-ecr-assets";
import { beforeEach, describe, expect, test, vi } from "vitest";
import type { ProjectConfig } from "#core/config.ts";
import { secretsOf, unreadableSecret } from "#core/dbt/secrets.ts";
import { buildArguments, buildEnvironment, renderDockerfile, STAND_IN } from "../../infra/image-build.ts";
import { assembleImageContext } from "../../infra/image-context.ts";
import { loadConfig } from "../../infra/load-config.ts";
import { localImageConfig } from "../../infra/local-image.ts";
import { builtImage } from "../../infra/project-image.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const DOCKERFILE = readFileSync(join(import.meta.dirname, "../../containers/dbt-runner/Dockerfile"), "utf8");
const BASE = `registry.example/python@sha256:${"b".repeat(64)}`;

let folder: string;
beforeEach(() => {
  folder = temporaryFolder("image-build");
  write("containers/dbt-runner/Dockerfile", DOCKERFILE);
  write("runner.mjs", "// runner\n");
});

function write(path: string, text: string): void {
  const file = join(folder, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}

/** A project of these files, with what stepwatch.yaml says of it. */
function project(files: Readonly<Record<string, string>>, settings: Record<string, unknown> = {}): ProjectConfig {
  const all = { "dbt_project.yml": "profile: shop", "profiles.yml": "shop: {}", "models/a.sql": "select 1", ...files };
  for (const [path, text] of Object.entries(all)) write(`dbt/${path}`, text);
  write("stepwatch.yaml", JSON.stringify({ projects: { shop: { projectDir: "dbt", ...settings } } }));
  return loadConfig(join(folder, "stepwatch.yaml")).projects.shop!;
}

const assemble = (config: ProjectConfig) => assembleImageContext(folder, config, join(folder, "runner.mjs"));

describe("the Dockerfile", () => {
  const stages = DOCKERFILE.split(/^FROM /m).slice(1);
  const last = stages.at(-1)!;

  test("D16: base images are named by digest", () => {
    const [python, node] = [...DOCKERFILE.matchAll(/^ARG (?:PYTHON|NODE)_IMAGE=(.*)$/gm)].map(([, image]) => image);
    expect(python).toMatch(/^python:\S+@sha256:[0-9a-f]{64}$/);
    expect(node).toMatch(/^node:24\S*@sha256:[0-9a-f]{64}$/);
  });

  test("the last stage runs as nobody's root, holds no tool of the build, and names what is written as volumes", () => {
    expect(last.match(/^USER .*$/gm)?.at(-1)).toBe("USER 10001:10001");
    expect(last).not.toMatch(/apt-get|\bpip\b|\bgit\b|BUILD_TOOLS|build_secrets|build-environment|requirements/);
    expect(last).toContain('VOLUME ["/tmp", "/home/stepwatch"]');
    expect(last.indexOf("VOLUME")).toBeGreaterThan(last.lastIndexOf("RUN "));
  });

  test("D17: what dbt deps has cloned leaves its .git behind, where the address stands with its token", () => {
    const [deps] = stages.flatMap((stage) => stage.split(/^RUN /m)).filter((step) => step.includes("then dbt deps"));
    expect(deps).toMatch(/dbt deps "\$@" .* && find \. -name \.git -prune -exec rm -rf \{\} \+/);
  });

  test("D17: build secrets are mounted where packages are fetched and nowhere else; without any it needs no BuildKit", () => {
    const two = project({}, { image: { buildSecrets: { DBT_ENV_SECRET_GIT: "GIT_TOKEN", PIP_INDEX_URL: "./index" } } });
    const mounts =
      "--mount=type=secret,id=DBT_ENV_SECRET_GIT,required=true --mount=type=secret,id=PIP_INDEX_URL,required=true";
    const rendered = renderDockerfile(DOCKERFILE, two);
    expect(rendered.split(`RUN ${mounts} \\\n`)).toHaveLength(3);
    expect(rendered.split(/^FROM /m).at(-1)).not.toContain("--mount");
    expect(renderDockerfile(DOCKERFILE, project({}))).not.toMatch(/--mount|build_secrets/);
  });
});

describe("what goes into the hash of the image", () => {
  const hashOf = (config: ProjectConfig) => {
    const stack = new Stack(new App(), "stack");
    builtImage(stack, folder, config, join(folder, "runner.mjs"));
    return stack.node.findAll().find((one): one is DockerImageAsset => one instanceof DockerImageAsset)!.assetHash;
  };

  test("D16: the base images, the packages, the environment and the models each change it", () => {
    const plain = hashOf(project({}));
    const others = [
      project({}, { image: { base: BASE } }),
      project({}, { image: { node: BASE } }),
      project({}, { dbt: { packages: ["dbt-core==1.11.16", "dbt-postgres==1.11.0"] } }),
      project({}, { environment: { STAGE: "prod" } }),
    ].map(hashOf);
    expect(hashOf(project({}))).toBe(plain);
    const edited = hashOf(project({ "models/a.sql": "select 2" }));
    expect(new Set([plain, ...others, edited]).size).toBe(6);
  });

  test("D17: the value of a build secret is neither in the template nor in the context", () => {
    vi.stubEnv("GIT_TOKEN", "planted-7f3a");
    const config = project({}, { image: { buildSecrets: { DBT_ENV_SECRET_GIT: "GIT_TOKEN" } } });
    const app = new App({ outdir: join(folder, "cdk.out") });
    const stack = new Stack(app, "stack");
    builtImage(stack, folder, config, join(folder, "runner.mjs"));
    new CfnWaitConditionHandle(stack, "SomeResource");
    app.synth();
    vi.unstubAllEnvs();
    expect(() => execFileSync("grep", ["-r", "planted-7f3a", folder])).toThrow();
    expect(execFileSync("grep", ["-rl", "env=GIT_TOKEN", join(folder, "cdk.out")]).toString()).toContain("assets");
  });
});

describe("packages", () => {
  const hub = "packages: [{package: dbt-labs/dbt_utils, version: 1.3.0}, {package: dbt-labs/codegen, version: 0.13.0}]";
  const installed = (...names: string[]) =>
    Object.fromEntries(names.map((name) => [`dbt_packages/${name}/dbt_project.yml`, ""]));

  test("D17: dbt deps runs in the build only where fewer are installed than are asked for, as dbt counts", () => {
    const deps = (files: Record<string, string>) => buildArguments(project(files)).DBT_DEPS;
    expect(deps({})).toBeUndefined();
    expect(deps({ "packages.yml": hub })).toBe("yes");
    expect(deps({ "packages.yml": hub, ...installed("dbt_utils") })).toBe("yes");
    expect(deps({ ...installed("codegen"), "package-lock.yml": "" })).toBeUndefined();
    const three = "packages: [{name: a}, {name: b}, {name: c}]";
    expect(deps({ "package-lock.yml": three })).toBe("yes");
    expect(deps({ ...installed("c") })).toBeUndefined();
    expect(deps({ "dbt_project.yml": "packages-install-path: modules" })).toBe("yes");
  });

  test("git is installed in the build only where something comes from there", () => {
    const tools = (files: Record<string, string>, settings?: Record<string, unknown>) =>
      buildArguments(project(files, settings)).BUILD_TOOLS;
    expect(tools({ "packages.yml": hub })).toBeUndefined();
    expect(tools({}, { dbt: { packages: ["git+https://example.com/dbt-x.git@v1"] } })).toBe("git");
    const git = "packages: [{git: 'https://example.com/p.git', revision: v1}]";
    expect(tools({ "packages.yml": git })).toBe("git");
    expect(tools(installed("p"))).toBeUndefined();
  });

  const FROM_GIT = `packages: [{git: "https://{{ env_var('DBT_ENV_SECRET_GIT') }}@example.com/p.git", revision: v1}]`;

  test.each([
    [
      { "packages.yml": FROM_GIT },
      {},
      /packages\.yml reads env_var\('DBT_ENV_SECRET_GIT'\) .*image\.buildSecrets .*dbt deps/,
    ],
    [
      { "packages.yml": "packages: [{git: 'git@example.com:p.git'}]" },
      {},
      /git@example\.com:p\.git is cloned over SSH/,
    ],
    [
      { "packages.yml": hub, "dbt_project.yml": `models: {+schema: "{{ env_var('STAGE') }}"}` },
      {},
      /reads env_var\('STAGE'\)/,
    ],
    [
      { "packages.yml": hub, "dbt_project.yml": `models: {+schema: "{{ var('stage') }}"}` },
      {},
      /reads var\('stage'\) .*build\.vars/,
    ],
  ] as [Record<string, string>, object, RegExp][])(
    "D17: what dbt deps lacks in the build is one sentence: %j",
    (files, settings, sentence) => {
      expect(() => assemble(project(files, settings as Record<string, unknown>))).toThrow(sentence);
      expect(() => assemble(project({ ...files, ...installed("one", "two") }))).not.toThrow();
    },
  );

  test("D17: packages that would be installed outside the project are installed before, and travel beside it", () => {
    const files = { "packages.yml": hub, "dbt_project.yml": "packages-install-path: ../packages" };
    expect(() => assemble(project(files))).toThrow(/packages-install-path lies outside the project/);
    for (const name of ["dbt_utils", "codegen"]) write(`packages/${name}/macros/m.sql`, "");
    const context = assemble(project(files));
    expect(existsSync(join(context.folder, "beside/stepwatch/packages/codegen/macros/m.sql"))).toBe(true);
  });

  test("D17: what package files read is set in every container, since dbt asks for it in each command", () => {
    const git = `packages: [{git: "https://{{ env_var('DBT_ENV_SECRET_GIT') }}@example.com/p.git"}, {git: '{{ "https://" ~ env_var("HOST") }}'}, {git: "{{ env_var('A', 'b') }}"}]`;
    const config = project({ "packages.yml": git, ...installed("a", "b", "c") }, { secrets: { HOST: "git:host" } });
    const last = renderDockerfile(DOCKERFILE, config)
      .split(/^FROM /m)
      .at(-1)!;
    expect(last.match(/^ENV \w+=not_needed\w*$/gm)).toEqual([`ENV DBT_ENV_SECRET_GIT=${STAND_IN}`]);
    expect(buildEnvironment(config)).toContain(`export DBT_ENV_SECRET_GIT="\${DBT_ENV_SECRET_GIT:-${STAND_IN}}"`);
    const image = { project: config, dbtExecutable: "dbt", runnerFile: "r", nodeExecutable: "n", workDir: "w" };
    expect(localImageConfig(image).Env).toMatchObject({ DBT_ENV_SECRET_GIT: STAND_IN });
    expect(unreadableSecret(secretsOf({ DBT_ENV_SECRET_GIT: STAND_IN }))).toBeNull();
  });

  test("D17: told what they lack, the same projects build", () => {
    const files = { "packages.yml": FROM_GIT, "dbt_project.yml": `x: "{{ env_var('STAGE') }} {{ var('v') }}"` };
    const image = { buildSecrets: { DBT_ENV_SECRET_GIT: "GIT_TOKEN" } };
    vi.stubEnv("GIT_TOKEN", "t");
    const { warnings } = assemble(project(files, { image, environment: { STAGE: "prod" }, build: { vars: { v: 1 } } }));
    vi.unstubAllEnvs();
    expect(warnings).toEqual([]);
  });

  test("D17: a build secret that the deploying shell has not is said at deploy", () => {
    vi.stubEnv("GIT_TOKEN", "");
    const image = { buildSecrets: { DBT_ENV_SECRET_GIT: "GIT_TOKEN", PIP_INDEX_URL: "./none" } };
    const { warnings } = assemble(project({}, { image }));
    vi.unstubAllEnvs();
    expect(warnings).toEqual([
      expect.stringContaining("the variable GIT_TOKEN is not set here"),
      expect.stringContaining(`there is no file ${join(folder, "none")}`),
    ]);
  });
});

describe("what dbt is told in the build", () => {
  test("D17: environment, target, profile and vars as in a run, and something in place of each secret, as a shell reads it", () => {
    const config = project(
      {},
      {
        environment: { STAGE: "it's $HOME `x`", N: 3 },
        secrets: { PGPASSWORD: "warehouse:password", DBT_ENV_SECRET_GIT: "git" },
        target: "prod",
        build: { profile: "other", vars: { day: "2026-01-01", list: ["a b"] } },
      },
    );
    write("environment.sh", buildEnvironment(config));
    const script = `. ./environment.sh; printf '%s\\n' "$STAGE" "$N" "$PGPASSWORD" "$DBT_ENV_SECRET_GIT" "$@"`;
    const said = execFileSync("sh", ["-c", script], { cwd: folder, env: { DBT_ENV_SECRET_GIT: "mounted" } });
    expect(said.toString().trim().split("\n")).toEqual([
      "it's $HOME `x`",
      "3",
      "not_known_in_the_build",
      "mounted",
      ...["--profiles-dir", "/stepwatch/profiles", "--profile", "other", "--target", "prod"],
      ...["--vars", '{"day":"2026-01-01","list":["a b"]}'],
    ]);
  });

  test("D17: a variable without a default that no container has is said at deploy; what may have one is not", () => {
    const profiles = `shop:
  target: prod
  outputs:
    prod: {host: "{{ env_var('HOST_NAME') }}", port: "{{ env_var('PORT', '1') }}", password: "{{ env_var('PASSWORD') | trim }}"}
    dev: {host: "{{ env_var('ONLY_IN_DEV') }}"}
`;
    const settings = `profile: shop
models: {+schema: "{{ env_var('STAGE') }}", +tags: "{{ env_var('MAYBE') if target.name == 'x' else '' }}"}
on-run-end: ["{{ env_var('AT_THE_END') }}"]
vars: {v: "{{ env_var('IN_VARS') }}"}
query-comment: "{{ env_var('IN_COMMENT') }} {{ env_var('AWS_REGION') }}"
seeds: {+enabled: "{{ env_var('FILLED') | default(true) }}", region: "{{ env_var('AWS_REGION') }}"}
`;
    const files = { "dbt_project.yml": settings, "profiles.yml": profiles };
    expect(assemble(project(files, { secrets: { PASSWORD: "w:password" } })).warnings).toEqual([
      expect.stringMatching(
        /^shop: dbt_project\.yml reads env_var\('STAGE'\) without a default, and no container has it/,
      ),
      expect.stringMatching(/^shop: profiles\.yml reads env_var\('HOST_NAME'\)/),
    ]);
    expect(assemble(project(files, { image: { base: BASE } })).warnings).toEqual([]);
  });
});
