import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { compatibilityDocument, REAL_RUNS_FILE, type RealRuns, realRuns } from "./compatibility-document.ts";

/**
 * Writes docs/dbt-compatibility.md anew. Where `npm test` or `npm run test:all` has left its reports, what passed there
 * is kept first in test/fixtures/real-runs.json; a part that was not run keeps what it said before.
 */
const root = join(import.meta.dirname, "../..");

interface Report {
  readonly testResults: readonly {
    readonly name: string;
    readonly assertionResults: readonly { readonly title: string; readonly status: string }[];
  }[];
}

function testsIn(project: string): readonly { readonly title: string; readonly status: string }[] {
  const path = join(root, ".stepwatch/reports", `${project}.json`);
  if (!existsSync(path)) return [];
  const report = JSON.parse(readFileSync(path, "utf8")) as Report;
  return report.testResults.filter((file) => file.name.includes("/test/e2e/")).flatMap((file) => file.assertionResults);
}

const tests = [...testsIn("e2e"), ...testsIn("slow")];
const known = new Set(tests.map((one) => one.title));
const passed = tests.filter((one) => one.status === "passed").map((one) => one.title);
const before = realRuns().passed.filter((title) => !known.has(title));
const real: RealRuns = { passed: [...new Set([...before, ...passed])].sort() };
writeFileSync(REAL_RUNS_FILE, `${JSON.stringify(real, null, 2)}\n`);
writeFileSync(join(root, "docs/dbt-compatibility.md"), await compatibilityDocument(real));
