/** Recorded case → words in the title of the end-to-end test that runs the same with the real dbt. */
export const REAL_RUN_OF: Readonly<Record<string, string>> = {
  all_pass: "nothing broken: versions",
  micro_ok: "nothing broken: versions",
  two_packages: "nothing broken: versions",
  select_version: "nothing broken: versions",
  exposure_only: "nothing broken: versions",
  hollow_only: "nothing broken: versions",
  deep_skip: "a deep chain, an ephemeral of bad SQL",
  eph_sql_error: "a deep chain, an ephemeral of bad SQL",
  unit_fail: "a deep chain, an ephemeral of bad SQL",
  warn_test: "a deep chain, an ephemeral of bad SQL",
  micro_partial: "a deep chain, an ephemeral of bad SQL",
  exposure_skipped: "a deep chain, an ephemeral of bad SQL",
  many_failures: "a deep chain, an ephemeral of bad SQL",
  test_fail: "a data test gates, a snapshot and a compile error",
  store_failures: "a data test gates, a snapshot and a compile error",
  snapshot_fail: "a data test gates, a snapshot and a compile error",
  compile_error: "a data test gates, a snapshot and a compile error",
  micro_all_failed: "a data test gates, a snapshot and a compile error",
  eph_compile_error: "a partial microbatch is tried again",
  fail_fast: "fail-fast: the failed node is red",
  start_hook_fail: "the on-run-start hook fails",
  start_hook_part: "the on-run-start hook fails",
  bad_jinja: "parse error: one cause",
  no_database: "no connection: one cause",
  empty_selection: "an empty selection: one cause",
  flaky_first: "a root that fails once is built alone",
};

interface Oddity {
  readonly versions: string;
  readonly oddity: string;
  readonly rule: string;
  readonly rows: string;
}

/** What a reader of dbt's log would not expect, by version. Each is in at least one recording. */
export const ODDITIES: readonly Oddity[] = [
  {
    versions: "1.8–1.12",
    oddity: "a unit test's line, and a skip after a failed start hook in 1.12, have the status word `None`",
    rule: "the word is taken from `data.status`, or from the event that was printed; never the other way round",
    rows: "A15",
  },
  {
    versions: "1.8–1.12",
    oddity: "at info level a model's error text comes only at the end of the run",
    rule: "the message is completed on the ended vertex",
    rows: "A9",
  },
  {
    versions: "1.8–1.12",
    oddity: "the child of an ephemeral model that failed gets a line without its id",
    rule: "with the plan it is not built; a replay finds it by the manifest's relation names",
    rows: "B4",
  },
  {
    versions: "1.9–1.12",
    oddity: "each batch of a microbatch model prints an end under the model's id",
    rule: "only the model's own line is its end; batches are kept apart with their states",
    rows: "A1, G14, G15",
  },
  {
    versions: "1.8–1.10",
    oddity: "under fail-fast run_results.json has the failed model as skipped",
    rule: "the log counts",
    rows: "A19, B8",
  },
  {
    versions: "1.11, 1.12",
    oddity: "under fail-fast run_results.json has models as skipped that ended well",
    rule: "the log counts",
    rows: "A19, B8",
  },
  {
    versions: "1.8–1.11",
    oddity: "a failed on-run-start hook stops nothing: every node is built, dbt ends with 1",
    rule: "the vertices stand as they ended, the run is red by the hook",
    rows: "B10",
  },
  {
    versions: "1.12",
    oddity:
      "after a failed on-run-start hook dbt crashes when an exposure is selected (exit code 2, half of the skips printed)",
    rule: "nothing is built, one cause: the hook; the crash's text is not shown as the reason",
    rows: "B10",
  },
  {
    versions: "1.12",
    oddity: "each overload of a function prints a result under the function's id",
    rule: "only the function's own line is its end; one failed overload fails it, with that overload's reason",
    rows: "A24",
  },
  {
    versions: "1.12",
    oddity: "`on_error: continue` builds children on a failed parent",
    rule: "they are told as they ended, and marked",
    rows: "B7",
  },
  {
    versions: "1.8–1.12",
    oddity: "where the warehouse goes away under running queries dbt says that it was interrupted by the keyboard",
    rule: "the cause is the connection if dbt gives up over it, or all that failed says so",
    rows: "D3",
  },
  {
    versions: "2.0",
    oddity: "prints a start for every vertex that it then skips",
    rule: "a start that ends in a skip is no try",
    rows: "B9",
  },
  {
    versions: "2.0",
    oddity: "after SIGINT or under fail-fast a cancelled model is printed as a success (to preview 202) or as an error",
    rule: "what has an error line of its own failed; what dbt cancelled, by such a line or without any, is interrupted",
    rows: "A16",
  },
  {
    versions: "2.0",
    oddity: "after fail-fast, SIGINT or a failed connection run_results.json has every vertex as a compilation error",
    rule: "such a file ends nothing and adds nothing",
    rows: "A19",
  },
  {
    versions: "2.0",
    oddity: "a failed microbatch model is missing from run_results.json, and prints no batches",
    rule: "the log counts; the list of batches is empty",
    rows: "G15",
  },
  {
    versions: "2.0",
    oddity: "under fail-fast `success` or `no-op` is printed of models that were compiled and then cancelled: no table",
    rule: "`no-op` of what dbt builds is interrupted; in a build cut short, so is a success without `NodeExecuting`",
    rows: "A16, B8",
  },
  {
    versions: "1.8–1.12",
    oddity: "a Python model prints to dbt's own stdout; without a line's end the text stands before dbt's next event",
    rule: "the event at the line's end is read; an event that names no invocation is not dbt's",
    rows: "A6",
  },
  {
    versions: "1.8–1.12",
    oddity:
      "at info level an ephemeral model that can not be compiled, below which only ephemerals hang, is never named",
    rule: "it is not good: failed where it alone can be it, otherwise not built; what hangs on it is not built",
    rows: "B4",
  },
  {
    versions: "2.0",
    oddity: "fail-fast ends the log without a last line; what was running is never mentioned again",
    rule: "it is interrupted, the first failure is the cause",
    rows: "B8",
  },
  {
    versions: "2.0",
    oddity:
      "the reason of a failed on-run-end hook is an error line of no vertex, after everything else or (since preview 205) before the hook's end",
    rule: "it becomes the hook's message; it is no failed connection, and the build ended in order",
    rows: "B11",
  },
  {
    versions: "2.0",
    oddity: "a model that a unit test needs is compiled, and prints that, also when it is not selected (debug level)",
    rule: "compiling proves no try",
    rows: "A3",
  },
  {
    versions: "2.0",
    oddity: "each test's line names a table for its failures, also when none is kept",
    rule: "a test's relation is taken from run_results.json",
    rows: "C11",
  },
  {
    versions: "2.0",
    oddity: "an error is called `Generic` (to preview 200) or by the name of its code, of which there are hundreds",
    rule: "the code at the beginning of its text, or in `info.code`, counts; an unknown one about a vertex is its failure",
    rows: "A21",
  },
  {
    versions: "2.0",
    oddity: "after a signal dbt may print its last line as if the build had come to its end",
    rule: "`OperationCanceled` without a failure under fail-fast is an interruption",
    rows: "A21",
  },
  {
    versions: "2.0",
    oddity: "ends with 1 where dbt 1 ends with 2 (parse, profile, connection)",
    rule: "the cause is read from the text and from what was reached, not from the exit code",
    rows: "D3",
  },
];
