import { secretValues } from "#clients/secret-values.ts";
import { postJson } from "#clients/webhook.ts";
import { functionEnvironmentSchema, parseEnvironment } from "#core/contracts/environment.ts";
import { lineageSettingsSchema } from "#core/contracts/lineage.ts";
import { type GivenEvent, type LineageDeps, lineage } from "./lineage.ts";

const environment = parseEnvironment(functionEnvironmentSchema.required({ STEPWATCH_LINEAGE: true }), process.env);
const deps: LineageDeps = {
  settings: lineageSettingsSchema.parse(JSON.parse(environment.STEPWATCH_LINEAGE)),
  post: (url, event, token) =>
    postJson(url, event, token === null ? {} : { headers: { authorization: `Bearer ${token}` } }),
  readSecret: secretValues(),
};

/** Triggered by a rule on our own events. */
export const handler = (event: GivenEvent): Promise<void> => lineage(event, deps);
