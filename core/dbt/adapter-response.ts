import { JsonMembers } from "./json-members.ts";
import { type Fields, fieldsOf, textOf } from "./line-fields.ts";

/** What the warehouse said of a statement: numbers and words alone, such as a query's id, bytes and slot time. */
export type AdapterResponse = Readonly<Record<string, string | number | boolean>>;

/** Characters of one as JSON. BigQuery's is 250; an adapter may put anything there. */
const MOST_CHARACTERS = 500;

/** What is cut last: what a person looks a query up by, and what it cost. */
const FIRST = ["query_id", "job_id", "bytes_processed", "bytes_billed", "slot_ms", "rows_affected", "code"];

/** As much of `adapter_response` as is worth keeping; null where it says nothing. */
export function adapterResponseOf(value: unknown): AdapterResponse | null {
  const fields: Fields = fieldsOf(value) ?? {};
  const said = Object.entries(fields).filter(
    (entry): entry is [string, string | number | boolean] =>
      ["string", "number", "boolean"].includes(typeof entry[1]) && entry[1] !== "",
  );
  const rank = ([name]: readonly [string, unknown]) => (FIRST.includes(name) ? FIRST.indexOf(name) : FIRST.length);
  const kept: Record<string, string | number | boolean> = {};
  for (const [name, word] of said.toSorted((a, b) => rank(a) - rank(b))) {
    if (JSON.stringify({ ...kept, [name]: word }).length <= MOST_CHARACTERS) kept[name] = word;
  }
  return Object.keys(kept).length === 0 ? null : kept;
}

/** The responses of a run_results.json by unique_id; empty where it is none. Never throws. */
export function readAdapterResponses(text: string): Map<string, AdapterResponse> {
  const responses = new Map<string, AdapterResponse>();
  const members = new JsonMembers({
    whole: new Set(),
    each: new Set(["results"]),
    onObject: (_member, entry) => {
      const fields = fieldsOf(entry);
      const response = adapterResponseOf(fields?.adapter_response);
      if (response !== null) responses.set(textOf(fields?.unique_id), response);
    },
  });
  try {
    members.push(new TextEncoder().encode(text));
  } catch {
    return responses;
  }
  return responses;
}
