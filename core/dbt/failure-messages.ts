/**
 * What the text of a failure means, as data: the words of dbt, of its adapters and of their drivers. The one place for
 * it; a project adds its own under `policy.failureMessages` (behaviour G32). Read by core/dbt/failure.ts.
 */

/** What a failure is a matter of. */
export const failureKinds = [
  "throttled",
  "credentials",
  "connection",
  "conflict",
  "timeout",
  "missing",
  "permission",
  "syntax",
  "contract",
  "compilation",
] as const;
export type FailureKind = (typeof failureKinds)[number];

/** Of each kind: what a person is told it is, and what follows from it. */
export const KINDS: Readonly<Record<FailureKind, FailureClass>> = {
  throttled: { what: "a refusal for load", outage: true, deterministic: false },
  credentials: { what: "credentials that had expired", outage: true, deterministic: false },
  connection: { what: "a lost connection", outage: true, deterministic: false },
  conflict: { what: "a conflict with another transaction", outage: false, deterministic: false },
  timeout: { what: "a time limit of the warehouse", outage: false, deterministic: true },
  permission: { what: "a missing permission", outage: false, deterministic: true },
  missing: { what: "a relation or column that does not exist", outage: false, deterministic: true },
  syntax: { what: "an error in its SQL", outage: false, deterministic: true },
  compilation: { what: "a compilation error", outage: false, deterministic: true },
  contract: { what: "a contract violation", outage: false, deterministic: true },
};

export interface FailureClass {
  readonly what: string;
  /** It strikes whatever runs at that moment: what it hit is built again together (behaviour G26). */
  readonly outage: boolean;
  /** It comes back with the same code and settings: `retryOn: transient` spends no task on it (behaviour G16). */
  readonly deterministic: boolean;
}

/** One way in which a failure is told. */
export interface FailureMessage {
  readonly kind: FailureKind;
  /**
   * Held against the driver's own first lines, where quoted text is taken out (core/dbt/failure.ts): neither a table's
   * data nor a name decides. `^` is the beginning of a line.
   */
  readonly pattern: RegExp;
  /** Adapter types that say it so; absent: any may. */
  readonly adapters?: readonly string[];
  /** The vertex's first statement never reached the warehouse: nothing was written (behaviour G28). */
  readonly neverBegan?: true;
  /** Where the words come from. */
  readonly source: string;
}

const POSTGRES = ["postgres", "redshift"];
const SPARK = ["databricks", "spark"];
const TRINO = ["trino", "athena", "starburst"];
const SQL_SERVER = ["sqlserver", "fabric", "synapse"];

const SQLSTATES = "PostgreSQL documentation, Appendix A (error codes), and libpq's fe-connect.c";
const DUCKDB = "DuckDB, src/common/exception.cpp (names of exception types)";
const SNOWFLAKE = "Snowflake documentation, SQL error codes; snowflake-connector-python, errorcode.py";
const BIGQUERY = "BigQuery documentation, error messages (reason, HTTP status)";
const DATABRICKS = "Databricks documentation, error classes";
const TRINO_CODES = "Trino, StandardErrorCode.java; AWS Athena and S3 API references, common errors";
const MSSQL = "SQL Server and Azure SQL documentation, database engine errors";
const CLICKHOUSE = "ClickHouse, src/Common/ErrorCodes.cpp";
const NETWORK = "errno(3); Python's socket, urllib3 and requests exceptions; RFC 9110";
const DBT = "dbt-core, dbt_common/exceptions, and recordings of 1.8 to 2.0";

/** In no order: which of several counts is decided by the kind, the first of {@link failureKinds} first. */
export const FAILURE_MESSAGES: readonly FailureMessage[] = [
  // Load: the words of throttling win over those of permission, with which some services begin such an answer.
  { kind: "throttled", pattern: /\b(please )?(slow ?down|reduce your request rate)\b/i, source: TRINO_CODES },
  {
    kind: "throttled",
    pattern: /\bthrottl(ed|ing)|rate ?limit|rate exceeded|too many requests|\b429\b.*(error|client|response|http)/i,
    source: NETWORK,
  },
  {
    kind: "throttled",
    pattern: /\bquota exceeded|exceeded rate limits|jobRateLimitExceeded|rateLimitExceeded/i,
    adapters: ["bigquery"],
    source: BIGQUERY,
  },
  {
    kind: "throttled",
    pattern: /(sorry, )?too many (clients|connections)|remaining connection slots are reserved/i,
    adapters: POSTGRES,
    neverBegan: true,
    source: SQLSTATES,
  },
  {
    kind: "throttled",
    pattern: /TEMPORARILY_UNAVAILABLE|RESOURCE_EXHAUSTED|REQUEST_LIMIT_EXCEEDED/,
    adapters: SPARK,
    source: DATABRICKS,
  },
  {
    kind: "throttled",
    pattern: /TOO_MANY_SIMULTANEOUS_QUERIES|TOO_MANY_PARTS|SERVER_OVERLOADED/,
    adapters: ["clickhouse"],
    source: CLICKHOUSE,
  },
  {
    kind: "throttled",
    pattern: /TOO_MANY_REQUESTS_FAILED|QUERY_QUEUE_FULL|CLUSTER_OUT_OF_MEMORY|NO_NODES_AVAILABLE/,
    adapters: TRINO,
    source: TRINO_CODES,
  },
  {
    kind: "throttled",
    pattern: /\b(40501|49918|49919|49920|10928|10929)\b|service is currently busy|request limit for the database/i,
    adapters: SQL_SERVER,
    source: MSSQL,
  },

  {
    kind: "credentials",
    pattern:
      /\b(token|credentials?|session|security token)\b[^\n]{0,60}\b(has |have |is |are )?expired\b|\bexpired ?token|\b(390114|390111|390195)\b/i,
    source: SNOWFLAKE,
  },

  // Drivers open one connection for a whole vertex, before its first statement: one that never came about wrote nothing.
  {
    kind: "connection",
    pattern:
      /connection to server .*failed|could not connect to server|could not translate host|the database system is (starting up|in recovery)/i,
    adapters: POSTGRES,
    neverBegan: true,
    source: SQLSTATES,
  },
  {
    kind: "connection",
    pattern: /\b250001\b.*failed to connect/i,
    adapters: ["snowflake"],
    neverBegan: true,
    source: SNOWFLAKE,
  },
  // One that was cut.
  {
    kind: "connection",
    pattern:
      /server closed the connection|terminating connection|ssl (connection|syscall|error)|could not (send data to|receive data from) server|no message from the libpq|lost synchronization with server|the database system is shutting down|(cursor|connection) already closed|no connection to the server/i,
    adapters: POSTGRES,
    source: SQLSTATES,
  },
  {
    kind: "connection",
    pattern:
      /\bconnection (was )?(refused|reset|aborted|closed|lost|timed out|broken|terminated|not open|already closed|has been closed)|broken pipe|remote end closed|eof (detected|occurred)|(read|connect(ion)?) timed out|network is unreachable|no route to host|(temporary failure in )?name (or service not known|resolution)|max retries exceeded|failed to establish a new connection|incomplete ?read|\bECONN(REFUSED|RESET)\b|\bETIMEDOUT\b/i,
    source: NETWORK,
  },
  // Python prints an exception within another as its type and a quoted text: the type is all that is left of it.
  {
    kind: "connection",
    pattern:
      /\b(Connection(Reset|Aborted|Refused)|BrokenPipe|NewConnection|MaxRetry)Error\b|\b(Remote|Server)Disconnected(Error)?\b/,
    source: NETWORK,
  },
  {
    kind: "connection",
    pattern: /\b50[234] (GET|POST|PUT|PATCH) |\bserver socket closed\b/,
    source: NETWORK,
  },
  {
    kind: "connection",
    pattern: /\b50[234]\b[^\n]{0,20}(bad gateway|service unavailable|gateway time-?out|server error)|\bbackendError\b/i,
    source: NETWORK,
  },
  { kind: "connection", pattern: /\b(250001|250003|251001|08001|08006)\b/, adapters: ["snowflake"], source: SNOWFLAKE },
  {
    kind: "connection",
    pattern: /invalid (session|operation) ?handle|CLUSTER_TERMINATED|unexpected end of stream|thrift transport/i,
    adapters: SPARK,
    source: DATABRICKS,
  },
  { kind: "connection", pattern: /could not set lock on file/i, adapters: ["duckdb"], source: DUCKDB },
  {
    kind: "connection",
    pattern:
      /communication link failure|login timeout expired|\b(40613|40197|4060|10053|10054|10060)\b|transport-level error/i,
    adapters: SQL_SERVER,
    source: MSSQL,
  },
  {
    kind: "connection",
    pattern: /\b(NETWORK_ERROR|SOCKET_TIMEOUT|ALL_CONNECTION_TRIES_FAILED)\b/,
    adapters: ["clickhouse"],
    source: CLICKHOUSE,
  },
  {
    kind: "connection",
    pattern:
      /\b(REMOTE_HOST_GONE|REMOTE_TASK_ERROR|PAGE_TRANSPORT_(ERROR|TIMEOUT)|SERVER_SHUTTING_DOWN|SERVER_STARTING_UP)\b/,
    adapters: TRINO,
    source: TRINO_CODES,
  },

  {
    kind: "conflict",
    pattern:
      /deadlock (detected|found)|was deadlocked|could not serialize access|serializable isolation violation|concurrent (update|transaction)|lock (wait )?timeout|could not obtain lock|tuple concurrently updated|could not open relation with oid/i,
    source: SQLSTATES,
  },
  {
    kind: "conflict",
    pattern: /\b(000625|000628)\b|has locked table|aborted because the number of waiters/i,
    adapters: ["snowflake"],
    source: SNOWFLAKE,
  },
  {
    kind: "conflict",
    pattern:
      /\bDELTA_CONCURRENT_|Concurrent(Append|DeleteRead|DeleteDelete|Transaction|Write)Exception|MetadataChangedException/,
    adapters: SPARK,
    source: DATABRICKS,
  },
  { kind: "conflict", pattern: /ICEBERG_COMMIT_ERROR|TRANSACTION_CONFLICT/, adapters: TRINO, source: TRINO_CODES },
  { kind: "conflict", pattern: /TransactionContext Error/, adapters: ["duckdb"], source: DUCKDB },
  {
    kind: "conflict",
    pattern: /snapshot isolation transaction aborted|\b(1205|3960)\b/i,
    adapters: SQL_SERVER,
    source: MSSQL,
  },

  // The same settings reach the same limit.
  {
    kind: "timeout",
    pattern:
      /canceling statement due to statement timeout|query .*(cancelled|aborted) (by|due to|on) .*(timeout|monitoring rule|wlm)/i,
    adapters: POSTGRES,
    source: SQLSTATES,
  },
  {
    kind: "timeout",
    pattern: /reached its statement or warehouse timeout|\b000630\b/i,
    adapters: ["snowflake"],
    source: SNOWFLAKE,
  },
  {
    kind: "timeout",
    pattern: /did not complete within the designated timeout|job timed out after/i,
    adapters: ["bigquery"],
    source: BIGQUERY,
  },
  {
    kind: "timeout",
    pattern: /EXCEEDED_(TIME|CPU|SCAN)_LIMIT|query exceeded the maximum .*time|query timeout/i,
    adapters: TRINO,
    source: TRINO_CODES,
  },
  { kind: "timeout", pattern: /TIMEOUT_EXCEEDED/, adapters: ["clickhouse"], source: CLICKHOUSE },
  {
    kind: "timeout",
    pattern: /STATEMENT_TIMEOUT|query (was )?cancell?ed due to (query )?timeout|statement timed out/i,
    adapters: SPARK,
    source: DATABRICKS,
  },
  { kind: "timeout", pattern: /query timeout expired/i, adapters: SQL_SERVER, source: MSSQL },

  {
    kind: "permission",
    pattern:
      /\b(permission denied|access denied|insufficient privileges?|not authorized|not authorised|must be owner of|does not have .{0,40}permission)\b/i,
    source: SQLSTATES,
  },
  {
    kind: "permission",
    pattern: /PERMISSION_DENIED|INSUFFICIENT_PERMISSIONS|UNAUTHORIZED_ACCESS|ACCESS_DENIED|NOT_ENOUGH_PRIVILEGES/,
    source: DATABRICKS,
  },
  { kind: "permission", pattern: /permission was denied/i, adapters: SQL_SERVER, source: MSSQL },

  // What the SQL names is not there: the same SQL finds it no better a moment later.
  {
    kind: "missing",
    pattern:
      /^(ERROR:\s+)?(missing from-clause entry|(relation|column|table|schema|function|type|operator|database|view|materialized view|sequence|role) [^\n]{0,200}does not exist)/im,
    adapters: POSTGRES,
    source: SQLSTATES,
  },
  { kind: "missing", pattern: /^(Catalog|Binder) Error:/m, adapters: ["duckdb"], source: DUCKDB },
  {
    kind: "missing",
    pattern: /\b(invalid identifier|does not exist or not authorized)\b/i,
    adapters: ["snowflake"],
    source: SNOWFLAKE,
  },
  {
    kind: "missing",
    pattern:
      /not found: (table|dataset|project|routine|function)|unrecognized name:|was not found in location|name .{0,80}not found inside/i,
    adapters: ["bigquery"],
    source: BIGQUERY,
  },
  {
    kind: "missing",
    pattern: /(TABLE_OR_VIEW|SCHEMA|CATALOG|FUNCTION|ROUTINE)_NOT_FOUND|UNRESOLVED_(COLUMN|ROUTINE|VARIABLE)/,
    adapters: SPARK,
    source: DATABRICKS,
  },
  {
    kind: "missing",
    pattern:
      /(TABLE|COLUMN|SCHEMA|CATALOG|FUNCTION)_NOT_FOUND|cannot be resolved|(table|schema|function) .{0,80}(does not exist|not registered)/i,
    adapters: TRINO,
    source: TRINO_CODES,
  },
  { kind: "missing", pattern: /invalid (object|column) name/i, adapters: SQL_SERVER, source: MSSQL },
  {
    kind: "missing",
    pattern: /UNKNOWN_(TABLE|IDENTIFIER|FUNCTION|DATABASE)|NO_SUCH_COLUMN_IN_TABLE/,
    adapters: ["clickhouse"],
    source: CLICKHOUSE,
  },

  { kind: "syntax", pattern: /^(ERROR:\s+)?syntax error\b/im, source: SQLSTATES },
  { kind: "syntax", pattern: /^Parser Error:/m, adapters: ["duckdb"], source: DUCKDB },
  { kind: "syntax", pattern: /\bSQL compilation error\b/, adapters: ["snowflake"], source: SNOWFLAKE },
  { kind: "syntax", pattern: /\bsyntax error: /i, adapters: ["bigquery"], source: BIGQUERY },
  { kind: "syntax", pattern: /PARSE_SYNTAX_ERROR|ParseException/, adapters: SPARK, source: DATABRICKS },
  {
    kind: "syntax",
    pattern: /\bSYNTAX_ERROR\b|mismatched input/,
    adapters: [...TRINO, "clickhouse"],
    source: TRINO_CODES,
  },
  { kind: "syntax", pattern: /incorrect syntax near/i, adapters: SQL_SERVER, source: MSSQL },

  { kind: "compilation", pattern: /^(Compilation|Parsing) Error\b/im, source: DBT },
  { kind: "compilation", pattern: /^Failed to render SQL\b/m, source: DBT },
  { kind: "contract", pattern: /this model has an enforced contract that failed/i, source: DBT },
];
