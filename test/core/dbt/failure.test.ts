import { describe, expect, it } from "vitest";
import { parseConfig } from "#core/config.ts";
import { failureOf, wordsOfFailure } from "#core/dbt/failure.ts";
import { FAILURE_MESSAGES, type FailureKind, failureKinds, KINDS } from "#core/dbt/failure-messages.ts";

const inModel = (text: string) => `Database Error in model orders (models/orders.sql)\n  ${text}`;
const kind = (message: string, adapter: string | null = null) => failureOf(message, adapter)?.kind ?? null;

describe("what the message of a failure says", () => {
  it.each<[string, string, FailureKind | null]>([
    ["postgres", 'relation "raw.orders" does not exist\nLINE 3: from raw.orders', "missing"],
    ["postgres", 'column "amount" does not exist', "missing"],
    ["postgres", 'syntax error at or near "form"', "syntax"],
    ["postgres", "permission denied for schema raw", "permission"],
    ["postgres", "canceling statement due to statement timeout", "timeout"],
    ["postgres", "deadlock detected\nDETAIL:  Process 1 waits", "conflict"],
    ["postgres", "server closed the connection unexpectedly", "connection"],
    ["postgres", 'connection to server at "db" (10.0.0.1), port 5432 failed: Connection refused', "connection"],
    ["postgres", "FATAL:  sorry, too many clients already", "throttled"],
    ["postgres", "division by zero", null],
    ["postgres", 'invalid input syntax for type integer: "not a number"', null],
    ["redshift", "1023\nDETAIL:  Serializable isolation violation on table", null],
    ["redshift", "Serializable isolation violation on table - 100, transactions forming the cycle", "conflict"],
    ["duckdb", 'Catalog Error: Table with name orders does not exist!\nDid you mean "order"?', "missing"],
    ["duckdb", 'Binder Error: Referenced column "a" not found in FROM clause!', "missing"],
    ["duckdb", 'Parser Error: syntax error at or near ")"', "syntax"],
    ["duckdb", "Conversion Error: Could not convert string 'Catalog Error: x' to INT32", null],
    ["duckdb", 'IO Error: Could not set lock on file "/x.duckdb": Conflicting lock is held', "connection"],
    [
      "snowflake",
      "001003 (42000): SQL compilation error:\nsyntax error line 1 at position 7 unexpected 'form'.",
      "syntax",
    ],
    [
      "snowflake",
      "002003 (02000): SQL compilation error:\nObject 'RAW.ORDERS' does not exist or not authorized.",
      "missing",
    ],
    ["snowflake", "000630 (57014): Statement reached its statement or warehouse timeout of 60 second(s)", "timeout"],
    [
      "snowflake",
      "390114 (08001): Authentication token has expired.  The user must authenticate again.",
      "credentials",
    ],
    ["snowflake", "250001 (08001): None: Failed to connect to DB: x.snowflakecomputing.com:443", "connection"],
    ["bigquery", "Not found: Table shop:raw.orders was not found in location US", "missing"],
    ["bigquery", "Unrecognized name: amont at [3:8]", "missing"],
    ["bigquery", "Syntax error: Unexpected keyword FORM at [1:10]", "syntax"],
    ["bigquery", "Exceeded rate limits: too many table update operations for this table", "throttled"],
    ["bigquery", "Could not serialize access to table shop:raw.orders due to concurrent update", "conflict"],
    ["bigquery", "Access Denied: Table shop:raw.orders: User does not have permission to query table", "permission"],
    ["databricks", "[TABLE_OR_VIEW_NOT_FOUND] The table or view `raw`.`orders` cannot be found.", "missing"],
    ["databricks", "[PARSE_SYNTAX_ERROR] Syntax error at or near 'form'", "syntax"],
    ["databricks", "[DELTA_CONCURRENT_APPEND] ConcurrentAppendException: Files were added", "conflict"],
    ["athena", "line 1:8: Column 'amont' cannot be resolved", "missing"],
    [
      "athena",
      "An error occurred (ThrottlingException) when calling the StartQueryExecution operation: Rate exceeded",
      "throttled",
    ],
    [
      "athena",
      "An error occurred (ExpiredTokenException) when calling the GetTable operation: expired token",
      "credentials",
    ],
    ["sqlserver", "[42S02] [Microsoft] Invalid object name 'raw.orders'. (208)", "missing"],
    ["sqlserver", `('42S02', "[42S02] [Microsoft][SQL Server]Invalid object name 'raw.orders'. (208)")`, "missing"],
    ["sqlserver", "('40001', '[40001] [Microsoft][SQL Server]Transaction (Process ID 60) was deadlocked')", "conflict"],
    ["sqlserver", `('22018', "[22018] [Microsoft]Conversion failed of 'Invalid object name'. (245)")`, null],
    ["bigquery", "('Connection aborted.', RemoteDisconnected('Remote end closed connection'))", "connection"],
    ["bigquery", "('Connection aborted.', ConnectionResetError(104, 'Connection reset by peer'))", "connection"],
    [
      "bigquery",
      "503 POST https://bigquery.googleapis.com/bigquery/v2/projects/p/jobs: Visibility check",
      "connection",
    ],
    ["redshift", "('communication error', BrokenPipeError(32, 'Broken pipe'))", "connection"],
    ["redshift", "BrokenPipe: server socket closed. Please check that client side networking", "connection"],
    ["postgres", "error with status PGRES_TUPLES_OK and no message from the libpq", "connection"],
    ["postgres", 'lost synchronization with server: got message type "T", length 0', "connection"],
    ["clickhouse", "Code: 60. DB::Exception: Table raw.orders does not exist. (UNKNOWN_TABLE)", "missing"],
  ])("G32: %s: %s", (adapter, text, expected) => {
    expect(kind(inModel(text.split("\n").join("\n  ")), adapter)).toBe(expected);
  });

  it("G32: words of throttling win over those of permission", () => {
    const message = inModel("An error occurred (AccessDenied) when calling PutObject: Access Denied, please slow down");
    expect(kind(message, "athena")).toBe("throttled");
    expect(KINDS.throttled.deterministic).toBe(false);
  });

  it.each([
    `invalid input syntax for type integer: "permission denied"`,
    `Conversion Error: Could not convert string 'syntax error at or near' to INT32`,
    `duplicate key value violates unique constraint "relation does not exist"`,
    `division by zero\n  CONTEXT: it said\n  permission denied for table x`,
  ])("G32: neither data nor names decide: %s", (text) => {
    expect(kind(inModel(text))).toBeNull();
  });

  it.each([
    "Compilation Error in model orders (models/orders.sql)\n  no such macro",
    "[error] [JinjaError (dbt1501)]: Failed to render SQL unknown function: Jinja macro or function `x` is unknown",
  ])("G16: what does not compile: %s", (message) => {
    expect(kind(message, "duckdb")).toBe("compilation");
  });

  it("G16: a contract is told apart from what does not compile", () => {
    expect(kind("Compilation Error in model a\n  This model has an enforced contract that failed.")).toBe("contract");
  });

  it("G32: dbt 2 says the same behind its code and its own head", () => {
    const head = "[error] [DbDriverFailed (dbt1308)]: Database Error in model a (target/run/a.sql)";
    expect(kind(`${head}\n  Binder Error: Referenced column "b" not found in FROM clause!`, "duckdb")).toBe("missing");
    const test =
      "[error]: Error materializing test test.shop.t.1 (target/run/t.sql)\n  Catalog Error: Table with name a does not exist!";
    expect(kind(test, "duckdb")).toBe("missing");
  });

  it("G32: the words of another adapter count for nothing", () => {
    expect(kind(inModel("Catalog Error: no such thing"), "postgres")).toBeNull();
    expect(kind(inModel("Catalog Error: no such thing"), "duckdb")).toBe("missing");
  });

  it("G32: a project's own words come first, for its adapter alone where it names one", () => {
    const own = [{ pattern: "^division by zero", kind: "conflict" as const, adapter: "postgres" }];
    expect(failureOf(inModel("division by zero"), "postgres", own)?.kind).toBe("conflict");
    expect(failureOf(inModel("division by zero"), "redshift", own)).toBeNull();
    const wins = [{ pattern: "permission denied", kind: "throttled" as const }];
    expect(failureOf(inModel("permission denied for schema raw"), "postgres", wins)?.kind).toBe("throttled");
  });

  it("G32: a pattern that is no regular expression is refused by its path, and says why", () => {
    const withPattern = (pattern: string) => () => {
      const project = { projectDir: "shop", policy: { failureMessages: [{ pattern, kind: "timeout" }] } };
      return parseConfig({ projects: { shop: project } }, "/repo", (folder) => folder);
    };
    expect(withPattern("(")).toThrow(
      /projects\.shop\.policy\.failureMessages.*0.*pattern.*is no regular expression of JavaScript \(unterminated group\)\.$/s,
    );
    expect(withPattern("(?i)deadlock: found")).toThrow(
      "is no regular expression of JavaScript (invalid group); leave out (?i), upper and lower case count the same.",
    );
    expect(withPattern("deadlock: found")).not.toThrow();
  });

  it("G28: a connection that never came about has written nothing; one that was cut may have", () => {
    const refused = 'connection to server at "db" (10.0.0.1), port 5432 failed: Connection refused';
    expect(failureOf(inModel(refused), "postgres")?.neverBegan).toBe(true);
    expect(failureOf(inModel("server closed the connection unexpectedly"), "postgres")?.neverBegan).toBe(false);
  });

  it("G32: each entry names its source, and each kind is told to people and has an entry", () => {
    for (const entry of FAILURE_MESSAGES) expect(entry.source.length, String(entry.pattern)).toBeGreaterThan(5);
    expect(failureKinds.filter((one) => !FAILURE_MESSAGES.some((entry) => entry.kind === one))).toEqual([]);
  });

  it("quoted text, dbt's own head and the statement are no words of the driver", () => {
    const text = `relation "a b" isn't there, user's 'name'\nLINE 1: select\n       ^`;
    expect(wordsOfFailure(inModel(text))).toBe(`relation "" isn't there, user's ""`);
  });
});
