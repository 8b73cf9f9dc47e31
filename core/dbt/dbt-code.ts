import type { FatalKind } from "./fatal-kind.ts";

/** dbt 2's own code of an error or warning: `DbDriverFailed`, 1308. */
export interface DbtCode {
  name: string;
  number: number;
}

/** How dbt 2 begins the text of what has a code: `[error] [DbDriverFailed (dbt1308)]: …`. */
const CODE_IN_TEXT = /^\s*\[\w+\] \[(\w+) \(dbt(\d{1,5})\)\]/;

/**
 * The code of a line. Before 2.0.0-preview.201 such a line is called `Generic` and the code stands in its text alone;
 * since then `info.name` and `info.code` say it too. Events have codes of a letter and digits (`Q012`), in dbt 1 all of
 * them, so that digits alone are a code of dbt 2 whatever the text is. A text that names another code than the line
 * does is somebody's text.
 */
export function codeOf(line: { name: string; code: string; text: string }): DbtCode | null {
  const [, name, digits] = CODE_IN_TEXT.exec(line.text) ?? [];
  if (name !== undefined && (line.name === "Generic" || line.name === name)) return { name, number: Number(digits) };
  return /^\d{1,5}$/.test(line.code) ? { name: line.name, number: Number(line.code) } : null;
}

/** The adapter's own words, the same for every database: the statement was running when dbt cancelled everything. */
const CANCELLED_STATEMENT = "Cancelled: SQL statement execution was cancelled";

/** Whether an error line says that dbt cancelled something, which is a consequence and nobody's failure. */
export function saysCancelled(code: DbtCode | null, text: string): boolean {
  return isCancelCode(code) || text.includes(CANCELLED_STATEMENT);
}

/** `TaskCancelled`: one vertex. `OperationCanceled`: everything, after a signal or by fail-fast. */
export function isCancelCode(code: DbtCode | null): boolean {
  return code?.number === 1404 || code?.number === 8995;
}

/**
 * What made dbt 2 give up, by code (dbt's own list, crates/dbt-error/src/codes.rs, as of 2.0.0-beta.2); ranges end
 * where that list leaves room. What is not here says too little by its code alone (`InvalidConfig` is a wrong target
 * as well as a model that is there twice): its text decides.
 */
const KIND_OF_CODE: readonly (readonly [FatalKind, readonly (number | readonly [number, number])[]])[] = [
  ["selection", [1092, 1601]],
  ["environment", [1035, 1104, 1105]],
  ["profile", [1102, 1103, 1153, 1251, 1252]],
  ["flags", [1007, 1008, 1100, 1101, [1106, 1108], 1600, 1602, 1700, 1701, 1704, 8996, 8997]],
  ["connection", [1011, 1014, 1038, 1066, [1200, 1204], 1250, 1253, 1254, 1300, 1301, 1303, 1304]],
  [
    "parse",
    [
      [100, 999],
      1013,
      1022,
      1031,
      1032,
      1042,
      1048,
      [1058, 1062],
      1064,
      1065,
      1069,
      1070,
      [1072, 1078],
      1085,
      [1086, 1091],
      [1093, 1099],
      1109,
      1110,
      [1150, 1152],
      [1154, 1159],
      1450,
      1451,
      [1500, 1509],
    ],
  ],
];

/** The kind that the code alone tells; null where the text has to. */
export function kindOfCode({ number }: DbtCode): FatalKind | null {
  const holds = (part: number | readonly [number, number]) =>
    typeof part === "number" ? part === number : part[0] <= number && number <= part[1];
  return KIND_OF_CODE.find(([, parts]) => parts.some(holds))?.[0] ?? null;
}
