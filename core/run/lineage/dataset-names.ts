/**
 * Namespaces of datasets as OpenLineage's naming has them for each warehouse (https://openlineage.io/docs/spec/naming),
 * by an output of a dbt profile. Null where its adapter or one of its values is not known: only a person can say it then.
 */
export function datasetNamespace(output: Readonly<Record<string, unknown>>): string | null {
  const type = output.type;
  const make = typeof type === "string" && Object.hasOwn(NAMESPACES, type) ? NAMESPACES[type] : undefined;
  return make?.((field, ...others) => valueIn(output, [field, ...others])) ?? null;
}

type Ask = (field: string, ...others: string[]) => string | null;

const withPort =
  (scheme: string, port: string) =>
  (ask: Ask): string | null => {
    const host = ask("host", "server");
    return host && `${scheme}://${host}:${ask("port") ?? port}`;
  };

const NAMESPACES: Readonly<Record<string, (ask: Ask) => string | null>> = {
  postgres: withPort("postgres", "5432"),
  redshift: (ask) => {
    // <cluster>.<id>.<region>.redshift.amazonaws.com, or <workgroup>.<account>.<region>.redshift-serverless.…
    const [, cluster, region] = /^([^.]+)\.[^.]+\.([^.]+)\.redshift/.exec(ask("host") ?? "") ?? [];
    return cluster === undefined ? null : `redshift://${cluster}.${region}:${ask("port") ?? "5439"}`;
  },
  snowflake: (ask) => prefixed("snowflake://", ask("account")),
  bigquery: () => "bigquery",
  databricks: (ask) => prefixed("databricks://", ask("host")),
  trino: withPort("trino", "8080"),
  athena: (ask) => {
    const region = ask("region_name");
    return region && `awsathena://athena.${region}.amazonaws.com`;
  },
  sqlserver: withPort("mssql", "1433"),
  clickhouse: withPort("clickhouse", "8123"),
};

const prefixed = (prefix: string, value: string | null) => value && `${prefix}${value}`;

/** A value that dbt takes as it is; a template is filled in when dbt runs. */
function valueIn(output: Readonly<Record<string, unknown>>, fields: readonly string[]): string | null {
  const value = fields.map((field) => output[field]).find((one) => one !== undefined);
  if (typeof value === "number") return String(value);
  return typeof value === "string" && value !== "" && !/\{[{%]/.test(value) ? value : null;
}

/** A relation as dbt writes it, by the names of its parts: `"db"."main"."orders"` is `db.main.orders`. */
export function datasetName(relation: string): string {
  const parts = relation.match(/"(?:[^"]|"")*"|`[^`]*`|\[[^\]]*\]|[^."`[\]]+/g) ?? [relation];
  const bare = (part: string) => (/^["`[]/.test(part) ? part.slice(1, -1).replaceAll('""', '"') : part);
  return parts.map(bare).join(".");
}
