import { stripColours } from "./message-text.ts";

/** What a line of dbt's JSON log says to a person; any other line as it is. */
export function saidLine(line: string): string {
  if (!line.startsWith("{")) return line;
  try {
    const { info } = JSON.parse(line) as { info?: { msg?: unknown } };
    return typeof info?.msg === "string" ? stripColours(info.msg) : line;
  } catch {
    return line;
  }
}
