/** Who answers for a node: as dbt's group says it, or `meta.owner`. */
export interface Owner {
  readonly name: string | null;
  readonly email: string | null;
}

/** A column as the project documents it; its type where that is written down. */
export interface Column {
  readonly name: string;
  readonly type: string | null;
}

/** What a node is to people, by its manifest. Bounded, since every event of it carries it. */
export interface NodeMeaning {
  /** Its own: `meta.owner`, or an exposure's owner. That of its group stands at the group. */
  readonly owner: Owner | null;
  readonly group: string | null;
  readonly tags: readonly string[];
  /** `meta` without what stepwatch itself reads; null where there is none, or more of it than an event should carry. */
  readonly meta: Readonly<Record<string, unknown>> | null;
  readonly columns: readonly Column[];
}

/** Bounds of what one event carries of a node: together less than 30 kB of EventBridge's 256. */
export const MEANING_LIMITS = { tags: 30, tagCharacters: 100, metaCharacters: 2_000, columns: 100, text: 200 } as const;

/** The first of several, as far as it is a text. */
const textOf = (value: unknown): string | null => {
  const first: unknown = Array.isArray(value) ? value[0] : value;
  return typeof first === "string" && first.trim() !== "" ? first.trim().slice(0, MEANING_LIMITS.text) : null;
};

/** An owner as people write it: a name, an address, a list of these, or an object with both. Null for anything else. */
export function ownerIn(value: unknown): Owner | null {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    const { name, email } = value as Record<string, unknown>;
    const owner = { name: textOf(name), email: textOf(email) };
    return owner.name === null && owner.email === null ? null : owner;
  }
  const text = textOf(value);
  if (text === null) return null;
  return /^[^\s@]+@[^\s@]+$/.test(text) ? { name: null, email: text } : { name: text, email: null };
}

/** `meta` as events carry it. */
export function metaOf(meta: Readonly<Record<string, unknown>> | null | undefined): NodeMeaning["meta"] {
  if (meta === null || meta === undefined) return null;
  const { stepwatch: _, owner: __, ...rest } = meta;
  if (Object.keys(rest).length === 0) return null;
  return JSON.stringify(rest).length > MEANING_LIMITS.metaCharacters ? null : rest;
}

/** `columns` of the manifest, by name; the first hundred. */
export function columnsOf(columns: unknown): Column[] {
  if (typeof columns !== "object" || columns === null) return [];
  return Object.values(columns)
    .slice(0, MEANING_LIMITS.columns)
    .flatMap((column: unknown) => {
      const { name, data_type: type } = (column ?? {}) as Record<string, unknown>;
      const known = textOf(name);
      return known === null ? [] : [{ name: known, type: textOf(type) }];
    });
}
