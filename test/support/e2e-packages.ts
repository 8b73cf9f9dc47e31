/** dbt with both adapters that the end-to-end tests use. */
export const E2E_DBT_PACKAGES = ["dbt-core==1.11.16", "dbt-duckdb==1.11.1", "dbt-postgres==1.11.0"];
