/** A text of JSON as Python writes it: what lies beyond ASCII is escaped, each UTF-16 unit on its own. */
export const asciiJson = (json: string): string =>
  json.replace(/[\u007f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
