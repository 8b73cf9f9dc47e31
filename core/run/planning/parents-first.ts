/**
 * Every id with its parents before it; parents that are no ids themselves do not count. What is in a cycle, or below
 * one, is left out: dbt refuses cycles.
 */
export function parentsFirst(parentsOf: ReadonlyMap<string, readonly string[]>): string[] {
  const children = new Map<string, string[]>();
  const open = new Map<string, number>();
  for (const [id, all] of parentsOf) {
    const parents = all.filter((parent) => parentsOf.has(parent));
    open.set(id, parents.length);
    for (const parent of parents) {
      const known = children.get(parent);
      if (known) known.push(id);
      else children.set(parent, [id]);
    }
  }
  const ready = [...parentsOf.keys()].filter((id) => open.get(id) === 0);
  for (const id of ready) {
    for (const child of children.get(id) ?? []) {
      const left = open.get(child)! - 1;
      open.set(child, left);
      if (left === 0) ready.push(child);
    }
  }
  return ready;
}
