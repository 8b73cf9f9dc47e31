interface UnderWay {
  readonly done: Promise<unknown>;
  /** The last call that came meanwhile. */
  newest: object | null;
}

/**
 * Calls about one thing, one after the other, where several come into one process: a Lambda instance has one call at a
 * time, the embedded AWS all calls of a function. What comes while one is under way waits for it, and of those that wait
 * only the newest is made: it stands for the others, whose turns are over. None is dropped for one that may have looked
 * before it came.
 * @returns makes a call in its turn, or answers undefined for one that a newer stands for
 */
export function newestCall(): <Answer>(about: string, call: () => Promise<Answer>) => Promise<Answer | undefined> {
  const underWay = new Map<string, UnderWay>();
  return async (about, call) => {
    const own = {};
    for (let before = underWay.get(about); before !== undefined; before = underWay.get(about)) {
      before.newest = own;
      await before.done;
      if (before.newest !== own) return undefined;
    }
    const made = call();
    const entry: UnderWay = { done: made.catch(() => undefined).finally(() => underWay.delete(about)), newest: null };
    underWay.set(about, entry);
    return await made;
  };
}
