import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";

/** How dbt ended in a recorded case, at one log level. */
interface RecordedEnd {
  exitCode: number;
  signal: string | null;
  argv: string[];
  stderr: string;
}

/** One recorded run of the case project: a version, a case, a level. */
export interface RecordedCase {
  version: string;
  name: string;
  /** What the case is, in a sentence. */
  about: string;
  level: "info" | "debug";
  end: RecordedEnd;
  lines: () => string[];
  runResults: () => string | null;
}

const ROOT = new URL("../fixtures/dbt-logs/", import.meta.url);

/** Every recorded case of every version, at each level that was kept. */
export function recordedCases(): RecordedCase[] {
  known ??= readCases();
  return known;
}

let known: RecordedCase[] | undefined;

function readCases(): RecordedCase[] {
  return versions().flatMap((version) => {
    const cases = JSON.parse(readFileSync(new URL(`${version}/cases.json`, ROOT), "utf8")) as Record<
      string,
      Record<"info" | "debug", RecordedEnd> & { about: string }
    >;
    return Object.entries(cases).flatMap(([name, entry]) =>
      (["info", "debug"] as const)
        .filter((level) => existsSync(new URL(`${version}/${name}/${level}.jsonl.gz`, ROOT)))
        .map((level) => ({
          version,
          name,
          about: entry.about,
          level,
          end: entry[level]!,
          lines: () => (unzipped(`${version}/${name}/${level}.jsonl`) ?? "").split("\n"),
          runResults: () => unzipped(`${version}/${name}/run_results.json`),
        })),
    );
  });
}

/** The recorded case of these names; throws where it was not recorded. */
export function recordedCase(version: string, name: string, level: "info" | "debug" = "info"): RecordedCase {
  const found = recordedCases().find((one) => one.version === version && one.name === name && one.level === level);
  if (found === undefined) throw new Error(`No recording of ${version} ${name} at ${level}.`);
  return found;
}

/** Versions with recordings, such as `1.11.16`. */
export function versions(): string[] {
  return readdirSync(ROOT, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && existsSync(new URL(`${entry.name}/cases.json`, ROOT)))
    .map((entry) => entry.name);
}

/** The text of a zipped fixture; null where there is none. */
export function unzipped(path: string): string | null {
  const file = new URL(`${path}.gz`, ROOT);
  return existsSync(file) ? gunzipSync(readFileSync(file)).toString("utf8") : null;
}

/** Path of a zipped file of a recorded case; null where it was not kept. */
export function recordingFile(recorded: RecordedCase, name: string): string | null {
  const file = new URL(`${recorded.version}/${recorded.name}/${name}.gz`, ROOT);
  return existsSync(file) ? fileURLToPath(file) : null;
}
