import { join } from "node:path";
import { parseArgs } from "node:util";
import { vitest } from "./runner/phases.ts";
import { runPhases } from "./runner/run-phases.ts";
import { setUp } from "./runner/set-up.ts";
import { ENDPOINT_VARIABLES } from "./support/endpoint-place.ts";

/**
 * `npm run test:endpoint -- [url] [--turn <seconds>] [--watch wake|poll] [files…]`: the end-to-end tests of a stack that
 * is deployed to an endpoint, by `--endpoint` as a person does it. Without a URL, to an embedded AWS that is taken for
 * somebody else's. Tests of what the endpoint can not do are listed by name, not counted as passed.
 */
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { turn: { type: "string" }, watch: { type: "string" } },
});
const url = positionals.find((one) => one.includes("://"));
const filters = positionals.filter((one) => one !== url);

const given = { url, ...values };
for (const [name, variable] of Object.entries(ENDPOINT_VARIABLES)) {
  const value = given[name as keyof typeof given];
  if (value === undefined) delete process.env[variable];
  else process.env[variable] = value;
}
const root = join(import.meta.dirname, "..");
process.exitCode = await runPhases([{ name: "set-up", go: setUp }, vitest(root, "endpoint", filters)]);
