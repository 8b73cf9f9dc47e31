import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { buildArgv, lsArgv, parseArgv, recoveryOptions, testArgv } from "#core/dbt/argv.ts";
import { compareReported, exactSelection } from "#core/dbt/exact-selection.ts";
import { readLines } from "../../support/read-recording.ts";

const versions: Record<string, string> = {
  "1.8.10": "/tmp/venv-1.8",
  "1.9.10": "/tmp/venv-1.9",
  "1.10.23": "/tmp/venv-1.10",
  "1.11.16": "/tmp/venv-dbt",
  "1.12.6": "/tmp/venv-1.12",
  "2.0.0-preview.196": "/tmp/venv-2.0",
};
for (const [version, venv] of Object.entries(versions)) {
  const dir = `/tmp/ex/${version}`;
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(dir, { recursive: true });
  cpSync("/work/shared/dbt-cases", `${dir}/p`, { recursive: true });
  spawnSync("chmod", ["-R", "u+w", `${dir}/p`]);
  const minor = Number(version.split(".")[1]);
  if (version.startsWith("1.") && minor < 10) cpSync(`${dir}/p/overlays/before_1_10`, `${dir}/p`, { recursive: true });
  rmSync(`${dir}/p/overlays`, { recursive: true, force: true });
  mkdirSync(`${dir}/p/models/odd`, { recursive: true });
  if (!version.startsWith("2")) writeFileSync(`${dir}/p/models/odd/with.dot.sql`, "select 1 as a\n");
  writeFileSync(`${dir}/p/models/odd/with-dash.sql`, "select 1 as a\n");
  const env = {
    ...process.env,
    DBT_SEND_ANONYMOUS_USAGE_STATS: "0",
    ...(minor < 9 && version.startsWith("1") ? { MICROBATCH: "0" } : {}),
    DBT_QUIET: "1",
    DBT_LOG_LEVEL: "error",
    DBT_LOG_FORMAT: "text",
    DBT_DEBUG: "0",
    DBT_WRITE_JSON: "0",
  };
  const folders = { projectDir: `${dir}/p`, profilesDir: `${dir}/p`, targetDir: `${dir}/t`, logDir: `${dir}/l` };
  const run = (argv: string[]) =>
    spawnSync(`${venv}/bin/dbt`, argv, { env, encoding: "utf8", cwd: `${dir}/p`, maxBuffer: 1e9 });
  const options = {
    vars: { name: 'it\'s "q" — ü', list: [1, { a: null }] },
    threads: 2,
    storeFailures: true,
    fullRefresh: true,
    warnErrorOptions: { include: [], exclude: [] },
    noPartialParse: false,
    target: "duck",
    profile: "harbour",
    failFast: false,
  };
  const all = run(buildArgv(folders, { ...options, indirectSelection: "eager", exclude: ["tide_days+"] }));
  console.log(
    version,
    "build rc",
    all.status,
    readLines(all.stdout.split("\n")).vertices.size,
    (all.stderr || "").slice(0, 300),
  );
  const ls = run(lsArgv(folders, { ...options, resourceTypes: ["model", "seed", "snapshot", "test", "unit_test"] }));
  const nodes = ls.stdout
    .split("\n")
    .filter((l) => l.startsWith("{"))
    .map((l) => JSON.parse(l));
  console.log(
    version,
    "ls rc",
    ls.status,
    nodes.length,
    ls.stdout
      .split("\n")
      .filter((l) => !l.startsWith("{") && l)
      .slice(0, 2),
    ls.stderr.slice(0, 200),
  );
  const want = nodes.filter((n) =>
    /tariff$|dues\.v1|dues\.v2|dues_are|no_vessel|vessel_is_known|berth_history|seed.*vessels|with|stg_calls$|stg_vessels$|stg_berths$|calls$/.test(
      n.unique_id,
    ),
  );
  const vertices = want.map((n) => ({
    uniqueId: n.unique_id,
    resourceType: n.resource_type,
    packageName: "harbour",
    originalFilePath: n.original_file_path,
    fqn: n.fqn,
  }));
  for (const v of [version, null]) {
    const sel = exactSelection({
      dbtVersion: v,
      vertices,
      stateDir: `${dir}/state`,
      options: recoveryOptions(options),
    });
    for (const f of sel.files) {
      mkdirSync(dirname(f.path), { recursive: true });
      writeFileSync(f.path, f.content);
    }
    const one = run(buildArgv(folders, sel.options, sel.args));
    const log = readLines(one.stdout.split("\n"));
    console.log(
      version,
      sel.way,
      "rc",
      one.status,
      vertices.length,
      JSON.stringify(
        compareReported(
          vertices.map((x) => x.uniqueId),
          log.vertices.keys(),
        ),
      ),
      log.fatal?.text.slice(0, 200) ?? "",
      one.stderr.slice(0, 200),
    );
  }
  const t = run(testArgv(folders, { ...options, select: ["stg_vessels"] }));
  console.log(version, "test rc", t.status, readLines(t.stdout.split("\n")).vertices.size, t.stderr.slice(0, 200));
  const p = run(parseArgv(folders, options));
  console.log(version, "parse rc", p.status, p.stdout.split("\n").length, p.stderr.slice(0, 200));
}
