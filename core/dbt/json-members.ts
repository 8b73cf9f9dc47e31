const [QUOTE, BACKSLASH, COMMA, OPEN, CLOSE, OPEN_LIST, CLOSE_LIST] = [0x22, 0x5c, 0x2c, 0x7b, 0x7d, 0x5b, 0x5d];

export interface JsonMembersOptions {
  /** Members of the outermost object that are objects, and are told whole. */
  readonly whole: ReadonlySet<string>;
  /** … and those, objects or lists, of which each object is told. */
  readonly each: ReadonlySet<string>;
  /** What is done to the text of an object before it is read. */
  readonly textOf?: (text: string) => string;
  /** Told of each object, in the order of the text. Throws what `JSON.parse` throws where it is none. */
  readonly onObject: (member: string, value: unknown) => void;
}

/**
 * Reads some members of one large JSON object from the pieces in which its text comes, and holds no more of it than one
 * of the objects that it tells: the rest of a manifest, and the text of all of it, is ten times what is needed of it.
 */
export class JsonMembers {
  readonly #options: JsonMembersOptions;
  #buffer = new Uint8Array(0);
  #held = new Uint8Array(0);
  /** What of `held` is scanned already. */
  #at = 0;
  #depth = 0;
  #inString = false;
  #isEscaped = false;
  /** Where the string or object begins that is to be kept; -1: nothing is. */
  #keptFrom = -1;
  /** The member of the outermost object that is being read; null before its name. */
  #member: string | null = null;
  #isSeen = false;
  readonly #objects = new Set<string>();
  readonly #lists = new Set<string>();

  constructor(options: JsonMembersOptions) {
    this.#options = options;
  }

  push(bytes: Uint8Array): void {
    this.#hold(bytes);
    while (this.#at < this.#held.length) this.#step();
  }

  /** Holds what is still needed of the pieces before, and this one. In one buffer for all: a new one a piece is garbage. */
  #hold(bytes: Uint8Array): void {
    const rest = this.#held.subarray(this.#keptFrom === -1 ? this.#at : this.#keptFrom);
    const length = rest.length + bytes.length;
    const buffer = length <= this.#buffer.length ? this.#buffer : new Uint8Array(length * 2);
    buffer.set(rest);
    buffer.set(bytes, rest.length);
    this.#at -= this.#held.length - rest.length;
    if (this.#keptFrom !== -1) this.#keptFrom = 0;
    this.#buffer = buffer;
    this.#held = buffer.subarray(0, length);
  }

  /** Whether the outermost object has come to its end. */
  get isWhole(): boolean {
    return this.#isSeen && this.#depth === 0 && !this.#inString;
  }

  /** Members of the outermost object that are objects themselves. */
  get objects(): ReadonlySet<string> {
    return this.#objects;
  }

  /** … and those that are lists. */
  get lists(): ReadonlySet<string> {
    return this.#lists;
  }

  #step(): void {
    if (this.#inString) {
      this.#endString();
      return;
    }
    const byte = this.#held[this.#at]!;
    if (byte === QUOTE) {
      this.#inString = true;
      if (this.#depth === 1 && this.#member === null) this.#keptFrom = this.#at;
    } else if (byte === OPEN || byte === OPEN_LIST) {
      if (byte === OPEN && this.#depth === this.#toldAt()) this.#keptFrom = this.#at;
      if (this.#depth === 1 && this.#member !== null) (byte === OPEN ? this.#objects : this.#lists).add(this.#member);
      this.#depth += 1;
      this.#isSeen ||= byte === OPEN;
    } else if (byte === CLOSE || byte === CLOSE_LIST) {
      this.#depth -= 1;
      if (byte === CLOSE && this.#keptFrom !== -1 && this.#depth === this.#toldAt()) this.#tell();
    } else if (byte === COMMA && this.#depth === 1) this.#member = null;
    this.#at += 1;
  }

  /** The depth at which the present member's objects stand; -1: none of them is told. */
  #toldAt(): number {
    if (this.#member === null) return -1;
    if (this.#options.whole.has(this.#member)) return 1;
    return this.#options.each.has(this.#member) ? 2 : -1;
  }

  /** From inside of a string to behind its end, or to the end of what is held. */
  #endString(): void {
    const held = this.#held;
    for (let at = this.#at; at < held.length; at += 1) {
      const byte = held[at];
      if (this.#isEscaped) this.#isEscaped = false;
      else if (byte === BACKSLASH) this.#isEscaped = true;
      else if (byte === QUOTE) {
        this.#at = at + 1;
        this.#inString = false;
        if (this.#depth === 1 && this.#member === null) this.#member = JSON.parse(this.#take()) as string;
        return;
      }
    }
    this.#at = held.length;
  }

  #tell(): void {
    this.#at += 1;
    const text = this.#take();
    this.#at -= 1;
    this.#options.onObject(this.#member ?? "", JSON.parse(this.#options.textOf?.(text) ?? text));
  }

  /** The text that was kept, up to here. */
  #take(): string {
    const text = new TextDecoder().decode(this.#held.subarray(this.#keptFrom, this.#at));
    this.#keptFrom = -1;
    return text;
  }
}
