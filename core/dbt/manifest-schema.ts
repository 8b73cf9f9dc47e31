import { z } from "zod";

const optionalText = z.string().nullish().catch(null);
/** A hook as text stands in its model's transaction, as dbt reads it; one that nobody can read is taken for the worst. */
const hookSchema = z
  .union([
    z.string().transform((sql) => ({ sql, transaction: true })),
    z.object({ sql: z.string().catch(""), transaction: z.boolean().catch(false) }),
  ])
  .catch({ sql: "", transaction: false });
const hooksSchema = z
  .union([z.array(hookSchema), hookSchema.transform((hook) => [hook])])
  .nullish()
  .catch(null);
const optionsSchema = z.record(z.string(), z.unknown()).nullish().catch(null);
const tagsSchema = z
  .union([z.array(z.string()), z.string().transform((tag) => [tag])])
  .nullish()
  .catch(null);
const metaSchema = z.record(z.string(), z.unknown()).nullish().catch(null);

/** One entry of any section; unknown fields are left out, bad ones read as absent. */
export const nodeSchema = z.object({
  unique_id: z.string().min(1),
  resource_type: z.string(),
  name: z.string().catch(""),
  package_name: z.string().catch(""),
  original_file_path: z.string().catch(""),
  fqn: z.array(z.string()).catch([]),
  depends_on: z
    .object({ nodes: z.array(z.string()).catch([]) })
    .nullish()
    .catch(null),
  raw_code: optionalText,
  checksum: z
    .union([z.object({ checksum: optionalText }), z.string()])
    .nullish()
    .catch(null),
  relation_name: optionalText,
  version: z.union([z.string(), z.number()]).nullish().catch(null),
  compiled_path: optionalText,
  meta: metaSchema,
  tags: tagsSchema,
  group: optionalText,
  /** Read by hand: a project has a hundred thousand of them. */
  columns: z.unknown().optional(),
  /** An exposure's. */
  owner: z.unknown().optional(),
  config: z
    .object({
      enabled: z.boolean().nullish().catch(null),
      tags: tagsSchema,
      group: optionalText,
      materialized: optionalText,
      on_error: optionalText,
      incremental_strategy: optionalText,
      batch_size: optionalText,
      begin: optionalText,
      full_refresh: z.boolean().nullish().catch(null),
      "post-hook": hooksSchema,
      post_hook: hooksSchema,
      grants: optionsSchema,
      persist_docs: optionsSchema,
      unique_key: z
        .union([z.string(), z.array(z.string())])
        .nullish()
        .catch(null),
      meta: metaSchema,
    })
    .nullish()
    .catch(null),
});

/** An entry of `groups`. */
export const groupSchema = z.object({ name: z.string().min(1), owner: z.unknown().optional() });

/** What the file says of itself. */
export const metadataSchema = z.object({
  dbt_version: optionalText,
  invocation_id: optionalText,
  project_name: optionalText,
  adapter_type: optionalText,
});
export type Metadata = Partial<z.infer<typeof metadataSchema>>;
