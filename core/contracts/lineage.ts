import { z } from "zod";

/** What the function lineage is told in its environment, as JSON. No secret stands there. */
export const lineageSettingsSchema = z.object({
  /** Where events are posted, such as https://marquez.example.com/api/v1/lineage. */
  url: z.string(),
  /** Of jobs. */
  namespace: z.string(),
  /** A secret in Secrets Manager that holds a bearer token. */
  apiKeySecret: z.string().optional(),
  /** Namespaces of datasets, by project. */
  warehouses: z.record(z.string(), z.string()),
});
export type LineageSettings = z.infer<typeof lineageSettingsSchema>;
